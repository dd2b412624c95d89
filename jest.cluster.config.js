/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config'),
  roots: ['<rootDir>/test/cluster'],
  testPathIgnorePatterns: [],
  globalSetup: '<rootDir>/test/cluster/harness/jest-setup.ts',
  globalTeardown: '<rootDir>/test/cluster/harness/jest-teardown.ts',
  testSequencer: '<rootDir>/test/cluster/harness/sequencer.js',
  // The tests wait for pods more than they compute: a few files at once, each in namespaces of its own.
  maxWorkers: 4,
  // Longer than anything is waited for: what fails says why.
  testTimeout: 1_800_000,
};
