import type { IConstruct } from 'constructs';
import { inPython, isPython } from './_python-names';

/** Possible mistakes. They are not errors, because another app or cluster may provide what is missing here. */
export type WarningId = 'idle-sweeper' | 'localhost' | 'no-proxy' | 'no-sweeper' | 'same-labels';

/** The context key with the warnings that the user acknowledges. */
const ACKNOWLEDGE = 'cdk8s-prefect:acknowledge';

interface Warning {
  readonly id: WarningId;
  readonly scope: IConstruct;
  readonly text: string;
}

/** What the constructs of an app need to know about each other. */
export interface Facts {
  /** Agents, each with the key of the flow runs that it takes. */
  readonly agents: { readonly scope: IConstruct; readonly takes: string }[];
  /** Namespaces of flow runs, and whether their eviction policy needs a sweeper. */
  readonly flows: { readonly scope: IConstruct; readonly namespace: string; readonly needsSweeper: boolean }[];
  /** Namespaces of sweepers, and whether the sweeper handles lost runs there. */
  readonly sweepers: { readonly scope: IConstruct; readonly namespaces: string[]; readonly endsLostRuns: boolean }[];
  readonly warnings: Warning[];
}

const apps = new WeakMap<IConstruct, Facts>();

/** The facts of the app of a construct. Their warnings are printed when the app is synthesized, one line for each kind. */
export function factsOf(scope: IConstruct): Facts {
  const { root } = scope.node;
  let facts = apps.get(root);
  if (facts === undefined) {
    facts = noFacts();
    apps.set(root, facts);
    let printed = '';
    root.node.addValidation({
      validate: () => {
        // cdk8s validates the whole app once for each chart, so print each warning only once.
        const lines = apps.has(root) ? warningsOf(apps.get(root) as Facts).join('') : '';
        if (lines !== printed) process.stderr.write(lines);
        printed = lines;
        return [];
      },
    });
  }
  return facts;
}

/** The facts of an app whose warnings a fleet prints together with those of other apps. */
export function takeFacts(app: IConstruct): Facts {
  const facts = factsOf(app);
  apps.set(app, noFacts());
  return facts;
}

export function noFacts(): Facts {
  return { agents: [], flows: [], sweepers: [], warnings: [] };
}

/** A possible mistake in the props of a construct. */
export function warn(scope: IConstruct, id: WarningId, text: string): void {
  factsOf(scope).warnings.push({ scope, id, text });
}

/** One line for each possible mistake, with all constructs that have it. */
export function warningsOf(facts: Facts): string[] {
  const paths = new Map<string, string[]>();
  for (const { id, scope, text } of [...facts.warnings, ...sameLabels(facts), ...sweeping(facts)]) {
    if (isAcknowledged(scope, id)) continue;
    const acknowledge = `acknowledge it: app.node.setContext('${ACKNOWLEDGE}', ['${id}'])`;
    const line = `${text}, or ${isPython() ? acknowledge.replace('setContext', 'set_context') : acknowledge}`;
    const key = `${id}\0${isPython() ? inPython(line) : line}`;
    paths.set(key, [...(paths.get(key) ?? []), scope.node.path]);
  }
  return [...paths].flatMap(([key, scopes]) => {
    const [id, line] = key.split('\0');
    return id === 'same-labels' && scopes.length < 2 ? [] : [`cdk8s-prefect: warning ${id}: ${listed(scopes)}: ${line}\n`];
  });
}

/** Groups of agents that take the same flow runs. */
function sameLabels({ agents }: Facts): Warning[] {
  return agents.map(({ scope, takes }) => ({
    id: 'same-labels',
    scope,
    text: `take the same flow runs (${takes}), and one may be submitted twice; give each labels of its own`,
  }));
}

function sweeping({ flows, sweepers }: Facts): Warning[] {
  const swept = (namespace: string) => sweepers.some(({ namespaces, endsLostRuns }) => endsLostRuns && namespaces.includes(namespace));
  const idle = sweepers.filter(({ namespaces }) => flows.length > 0 && !flows.some(({ namespace }) => namespaces.includes(namespace)));
  return [
    ...flows
      .filter(({ namespace, needsSweeper }) => needsSweeper && !swept(namespace))
      .map(({ scope }) => ({
        id: 'no-sweeper' as const,
        scope,
        text: 'onEviction needs a FlowRunSweeper with lostRuns for the namespace of the flow runs, and this app has none; add one',
      })),
    ...idle.map(({ scope, namespaces }) => ({
      id: 'idle-sweeper' as const,
      scope,
      text: `flow runs of this app are in none of its namespaces (${namespaces.join(', ')}); name theirs`,
    })),
  ];
}

function isAcknowledged(scope: IConstruct, id: WarningId): boolean {
  return [scope.node.tryGetContext(ACKNOWLEDGE)].flat().includes(id);
}

function listed(paths: string[]): string {
  const shown = paths.slice(0, 5).join(', ');
  return paths.length > 5 ? `${shown} and ${paths.length - 5} more` : shown;
}
