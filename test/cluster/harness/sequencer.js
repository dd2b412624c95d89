const { readFileSync } = require('node:fs');
const { basename } = require('node:path');
const Sequencer = require('@jest/test-sequencer').default;

/** How long files take, in minutes on 2 cores beside others, where it is not about three. It decides their order, nothing else. */
const MINUTES = {
  'node-faults': 15,
  'prefect-worker-faults': 12,
  faults: 12,
  'installation-faults': 7,
  'dask-faults': 5,
  'flow-run-sweeper': 5,
  admission: 5,
  'rough-weather': 5,
  dask: 4,
  'flow-run-sweeper-scale': 2,
  gitops: 1,
  'rules-of': 1,
  'upgrade-steps': 1,
};

/** Files that wait for each other. */
const WAITS = { turn: /\.takesTurns\(\)/, node: /testWith\('(secondNode|networkPolicies)'/ };

/** Plays through which worker is free when, so that those who wait for others start early and one after the other, and the rest longest first. */
module.exports = class extends Sequencer {
  constructor(options) {
    super(options);
    this.maxWorkers = options.globalConfig.maxWorkers;
  }

  sort(tests) {
    const left = super.sort(tests).map((test) => {
      const text = readFileSync(test.path, 'utf8');
      const waits = Object.keys(WAITS).find((name) => WAITS[name].test(text));
      return { test, waits, minutes: MINUTES[basename(test.path, '.test.ts')] ?? 3 };
    });
    left.sort((a, b) => Number(!a.waits) - Number(!b.waits) || b.minutes - a.minutes);
    const workers = Array(this.maxWorkers).fill(0);
    const free = { turn: 0, node: 0 };
    const order = [];
    while (left.length > 0) {
      const now = Math.min(...workers);
      const next = left.find(({ waits }) => !waits || free[waits] <= now) ?? left[0];
      left.splice(left.indexOf(next), 1);
      const end = Math.max(now, free[next.waits] ?? 0) + next.minutes;
      if (next.waits) free[next.waits] = end;
      workers[workers.indexOf(now)] = end;
      order.push(next.test);
    }
    return order;
  }
};
