/** @type {import('jest').Config} */
module.exports = {
  roots: ['<rootDir>/test'],
  testPathIgnorePatterns: ['<rootDir>/test/oracle/', '<rootDir>/test/cluster/'],
  // main.ts and examples/ import the library by its name, as users do.
  moduleNameMapper: { '^cdk8s-prefect$': '<rootDir>/lib' },
  transform: { '\\.ts$': '@swc/jest' },
};
