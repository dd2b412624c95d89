/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config'),
  roots: ['<rootDir>/test/cluster'],
  testPathIgnorePatterns: [],
  globalSetup: '<rootDir>/test/cluster/harness/jest-setup.ts',
  globalTeardown: '<rootDir>/test/cluster/harness/jest-teardown.ts',
  // One cluster, on one machine: its tests wait for pods more than they compute, and disturb each other less in turn.
  maxWorkers: 1,
  testTimeout: 600_000,
};
