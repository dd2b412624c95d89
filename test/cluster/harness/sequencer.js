const { readFileSync } = require('node:fs');
const Sequencer = require('@jest/test-sequencer').default;

/** Files that take turns, or share the second node, are kept apart in the order, so that few workers wait for another one. */
module.exports = class extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    const takesTurns = ({ path }) => /\.takesTurns\(\)|testWith\('(secondNode|networkPolicies)'/.test(readFileSync(path, 'utf8'));
    const turns = sorted.filter(takesTurns);
    const others = sorted.filter((test) => !takesTurns(test));
    const apart = Math.ceil(others.length / Math.max(1, turns.length));
    return [...turns.flatMap((test, i) => [test, ...others.slice(i * apart, (i + 1) * apart)]), ...others.slice(turns.length * apart)];
  }
};
