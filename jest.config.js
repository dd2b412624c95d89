/** @type {import('jest').Config} */
module.exports = {
  roots: ['<rootDir>/test'],
  testPathIgnorePatterns: ['oracle', 'cluster', 'package', 'docs'].map((folder) => `<rootDir>/test/${folder}/`),
  // main.ts and examples/ import the library by its name, as users do.
  moduleNameMapper: { '^cdk8s-prefect$': '<rootDir>/lib' },
  transform: { '\\.ts$': '@swc/jest' },
};
