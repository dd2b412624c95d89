/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config'),
  roots: ['<rootDir>/test/oracle'],
  testPathIgnorePatterns: [],
  // They wait for Prefect and for timers as much as they compute.
  maxWorkers: 3,
  testTimeout: 600_000,
};
