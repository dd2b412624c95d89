/** @type {import('jest').Config} */
module.exports = {
  roots: ['<rootDir>/test', '<rootDir>/examples'],
  testPathIgnorePatterns: ['<rootDir>/test/oracle/', '<rootDir>/test/cluster/'],
  transform: { '\\.ts$': '@swc/jest' },
};
