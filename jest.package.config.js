/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config'),
  roots: ['<rootDir>/test/package'],
  testPathIgnorePatterns: ['/consumer/'],
  globalSetup: '<rootDir>/test/package/jest-setup.ts',
  // They wait for registries more than they compute.
  maxWorkers: 3,
  testTimeout: 900_000,
};
