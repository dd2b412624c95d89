/** @type {import('jest').Config} */
module.exports = { ...require('./jest.config'), roots: ['<rootDir>/test/docs'], testPathIgnorePatterns: [], testTimeout: 600_000 };
