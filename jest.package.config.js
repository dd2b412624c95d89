/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config'),
  roots: ['<rootDir>/test/package'],
  testPathIgnorePatterns: ['/consumer/'],
  globalSetup: '<rootDir>/test/package/jest-setup.ts',
  testTimeout: 600_000,
};
