import { Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { checkMaxSeconds } from './_checks';
import { refuse, type Where } from './_refuse';
import type { FlowRunSweeperProps } from './flow-run-sweeper';
import type { SweeperRule } from './sweeper-options';

/** The rules, each with how long it waits by default and at least. */
const RULES = {
  finishedJobs: { after: Duration.minutes(3), least: 0 },
  cancellingRuns: { after: Duration.minutes(5), least: 0 },
  unstartableJobs: { after: Duration.minutes(10), least: 0 },
  // A flow run shows life every 30 seconds.
  lostRuns: { after: Duration.seconds(90), least: 60 },
  finishedDaskWorkers: { after: Duration.seconds(0), least: 0 },
  orphanedDaskClusters: { after: Duration.minutes(1), least: 0 },
};

type RuleName = keyof typeof RULES;

/** The rules that are on, with their delay in seconds. */
export type Rules = Partial<Record<RuleName, number>>;

export function checkRules(where: Where, props: FlowRunSweeperProps): Rules {
  const names = Object.keys(RULES) as RuleName[];
  return Object.fromEntries(
    names.filter((name) => props[name]?.enabled ?? true).map((name) => [name, checkDelay(where, name, props[name])]),
  );
}

function checkDelay(where: Where, name: RuleName, rule: SweeperRule = {}): number {
  const { after, least } = RULES[name];
  const seconds = checkMaxSeconds(where, `${name}.after`, (rule.after ?? after).toSeconds({ integral: false }));
  if (!Number.isInteger(seconds) || seconds < least) {
    refuse(where, {
      prop: `${name}.after`,
      value: `${seconds} s`,
      allowed:
        least > 0
          ? `must be a whole number of seconds, at least ${least}: a flow run shows life every 30 seconds`
          : 'must be a whole number of seconds',
      remedy: 'choose such a time',
    });
  }
  return seconds;
}

export function renderRuleArgs(rules: Rules): string[] {
  return Object.entries(rules).map(([name, seconds]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${seconds}`);
}

/** What the rules take, in a namespace of flow runs: the calls that `clients.py` makes for them. */
export function rightsOf(rules: Rules, dryRun: boolean): k8s.PolicyRule[] {
  const may = (group: string, resources: string[], verbs: Record<string, boolean>): k8s.PolicyRule => ({
    apiGroups: [group],
    resources,
    verbs: Object.keys(verbs).filter((verb) => verbs[verb] && (!dryRun || verb === 'list')),
  });
  const on = (...names: RuleName[]) => names.some((name) => rules[name] !== undefined);
  const dask = on('finishedDaskWorkers', 'orphanedDaskClusters');
  const daskClusters = { list: dask, delete: on('orphanedDaskClusters') };
  return [
    may('batch', ['jobs'], { list: true, delete: on('finishedJobs', 'cancellingRuns', 'unstartableJobs') }),
    may('', ['pods'], { list: true, delete: dask }),
    may('', ['services'], daskClusters),
    may('policy', ['poddisruptionbudgets'], daskClusters),
    may('', ['events'], { list: on('unstartableJobs'), create: true }),
  ].filter(({ verbs }) => verbs.length > 0);
}
