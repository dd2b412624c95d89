const { readFileSync } = require('node:fs');
const Sequencer = require('@jest/test-sequencer').default;

/** Files that take turns are kept apart in the order, so that no two workers wait for the turn of a third one. */
module.exports = class extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    const takesTurns = ({ path }) => readFileSync(path, 'utf8').includes('.takesTurns()');
    const turns = sorted.filter(takesTurns);
    const others = sorted.filter((test) => !takesTurns(test));
    const apart = Math.ceil(others.length / Math.max(1, turns.length));
    return [...turns.flatMap((test, i) => [test, ...others.slice(i * apart, (i + 1) * apart)]), ...others.slice(turns.length * apart)];
  }
};
