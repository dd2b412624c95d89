/** Names of Prefect 2 and 3 that Prefect 1 does not have, each with what to write instead. */
const PREFECT_3: Record<string, string> = {
  workPool: "an agent of Prefect 1 takes flow runs by labels: write for example labels: ['kube']",
  workPoolName: "an agent of Prefect 1 takes flow runs by labels: write for example labels: ['kube']",
  workQueue: "an agent of Prefect 1 takes flow runs by labels: write for example labels: ['kube']",
  workQueues: "an agent of Prefect 1 takes flow runs by labels: write for example labels: ['kube']",
  workQueueName: "an agent of Prefect 1 takes flow runs by labels: write for example labels: ['kube']",
  jobVariables: 'set image, env, resources and the like on the FlowJobTemplate, and what one flow has otherwise in its KubernetesRun',
  baseJobTemplate: 'make a FlowJobTemplate and give it as jobTemplate',
  infraOverrides: 'set image, env, resources and the like on the FlowJobTemplate, and what one flow has otherwise in its KubernetesRun',
  infrastructure: 'set image, env, resources and the like on the FlowJobTemplate, and what one flow has otherwise in its KubernetesRun',
  prefectApiUrl: "write api: PrefectApi.server({ url: 'http://prefect-apollo.prefect:4200' })",
  prefectApiKey: "write apiKey: SecretKeyRef.of('prefect-api-key', 'key') in PrefectApi.cloud or PrefectApi.server",
};

/** The remedy for a name of Prefect 2 or 3. */
export function remedyOfPrefect3(key: string): string | undefined {
  return Object.hasOwn(PREFECT_3, key) ? PREFECT_3[key] : undefined;
}

/** The name that a key probably means: the same one in another spelling, or the most similar one. */
export function didYouMean(key: string, names: Iterable<string>): string | undefined {
  let best: { readonly name: string; readonly steps: number } | undefined;
  for (const name of names) {
    const steps = plain(name) === plain(key) ? 0 : distance(key, name);
    if (steps <= (name.length >= 8 ? 2 : 1) && steps < (best?.steps ?? 3) && (name.length >= 4 || steps === 0)) best = { name, steps };
  }
  return best?.name;
}

/** A name without case and separators: `flow_env_vars`, `flow-env-vars` and `FlowEnvVars` are the same as `flowEnvVars`. */
function plain(name: string): string {
  return name.replace(/[-_]/g, '').toLowerCase();
}

/** The number of letters to insert, delete, replace or swap. 3 means more than 2. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...new Array<number>(b.length).fill(0)]);
  const cell = (i: number, j: number) => (i < 0 || j < 0 ? Number.POSITIVE_INFINITY : (rows[i]?.[j] ?? 0));
  rows[0] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const exchanged = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? cell(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      const replaced = cell(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      (rows[i] as number[])[j] = Math.min(cell(i - 1, j) + 1, cell(i, j - 1) + 1, replaced, exchanged);
    }
  }
  return cell(a.length, b.length);
}
