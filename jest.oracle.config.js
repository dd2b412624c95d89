/** @type {import('jest').Config} */
module.exports = { ...require('./jest.config'), roots: ['<rootDir>/test/oracle'], testPathIgnorePatterns: [], testTimeout: 600_000 };
