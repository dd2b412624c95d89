/** @type {import('jest').Config} */
module.exports = {
  roots: ['<rootDir>/test'],
  testPathIgnorePatterns: ['oracle', 'cluster', 'package', 'docs'].map((folder) => `<rootDir>/test/${folder}/`),
  // main.ts and examples/ import the library by its name, as users do.
  moduleNameMapper: { '^cdk8s-prefect$': '<rootDir>/lib' },
  // Hundreds of generated charts print what a user would want to see once.
  setupFiles: ['<rootDir>/test/quiet.ts'],
  transform: { '\\.ts$': '@swc/jest' },
  // Jest leaves one core alone, which is half of a machine with two.
  maxWorkers: '100%',
  // Some start processes: a busy machine is not a failure.
  testTimeout: 240_000,
};
