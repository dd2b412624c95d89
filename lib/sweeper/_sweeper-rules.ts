import { Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { checkMaxSeconds, showDuration } from '../kubernetes/_checks';
import type { Plain } from '../kubernetes/_manifest';
import { refuse, type Where } from '../kubernetes/_refuse';
import type { SweeperRule } from './sweeper-options';

/** The rules, each with the default, least and greatest delay in seconds. */
const RULES = {
  finishedJobs: { after: Duration.minutes(3), least: 0 },
  cancellingRuns: { after: Duration.minutes(5), least: 0 },
  unstartableJobs: { after: Duration.minutes(10), least: 60, most: 43_200, why: 'a pod takes its time to start' },
  lostRuns: { after: Duration.seconds(90), least: 60, most: 43_200, why: 'a flow run shows life every 30 seconds' },
  finishedDaskWorkers: { after: Duration.seconds(0), least: 0 },
  orphanedDaskClusters: { after: Duration.minutes(1), least: 0 },
} satisfies Record<string, RuleDefaults>;

interface RuleDefaults {
  readonly after: Duration;
  readonly least: number;
  readonly most?: number;
  readonly why?: string;
}

type RuleName = keyof typeof RULES;

/** The rules that are on, with their delay in seconds. */
export type Rules = Partial<Record<RuleName, number>>;

export function checkRules(where: Where, props: { readonly [name in RuleName]?: SweeperRule }): Rules {
  const names = Object.keys(RULES) as RuleName[];
  return Object.fromEntries(
    names.filter((name) => props[name]?.enabled ?? true).map((name) => [name, checkDelay(where, name, props[name])]),
  );
}

function checkDelay(where: Where, name: RuleName, rule: SweeperRule = {}): number {
  const { after, least, most, why }: RuleDefaults = RULES[name];
  const seconds = checkMaxSeconds(where, `${name}.after`, (rule.after ?? after).toSeconds({ integral: false }));
  if (!Number.isInteger(seconds) || seconds < least || (most !== undefined && seconds > most)) {
    refuse(where, {
      prop: `${name}.after`,
      given: showDuration(rule.after ?? after),
      allowed:
        most === undefined
          ? 'must be a whole number of seconds'
          : `must be a whole number of seconds, from ${least} to ${most} (12 hours): ${why}, and the sweeper forgets a run after a day`,
      remedy: 'write for example Duration.minutes(5)',
    });
  }
  return seconds;
}

export function renderRuleArgs(rules: Rules): string[] {
  return Object.entries(rules).map(([name, seconds]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${seconds}`);
}

/** The permissions that the rules need in a namespace of flow runs: the calls of `cluster.py`. */
export function rightsOf(rules: Rules, dryRun: boolean): Plain<k8s.PolicyRule>[] {
  const may = (group: string, resources: string[], verbs: Record<string, boolean>): Plain<k8s.PolicyRule> => ({
    apiGroups: [group],
    resources,
    verbs: Object.keys(verbs).filter((verb) => verbs[verb] && (!dryRun || verb === 'list')),
  });
  const on = (...names: RuleName[]) => names.some((name) => rules[name] !== undefined);
  const dask = on('finishedDaskWorkers', 'orphanedDaskClusters');
  const daskClusters = { list: dask, delete: on('orphanedDaskClusters') };
  return [
    may('batch', ['jobs'], {
      list: true,
      watch: on('lostRuns'),
      delete: on('finishedJobs', 'cancellingRuns', 'unstartableJobs', 'lostRuns'),
    }),
    may('', ['pods'], { list: true, watch: on('lostRuns'), delete: dask }),
    may('', ['services'], daskClusters),
    may('policy', ['poddisruptionbudgets'], daskClusters),
    may('', ['events'], { list: on('unstartableJobs'), create: true }),
    // The Lease lets one sweeper act at a time. RBAC cannot limit `create` to a name.
    may('coordination.k8s.io', ['leases'], { create: true }),
    { ...may('coordination.k8s.io', ['leases'], { get: true, update: true }), resourceNames: ['flow-run-sweeper'] },
  ].filter(({ verbs }) => verbs.length > 0);
}
