import { Duration } from 'cdk8s';
import { FlowRunSweeper, type FlowRunSweeperProps } from '../../lib';
import type { KubeObject } from './harness/api-server';
import type { Namespace } from './harness/namespace';
import { agentReady, type Prefect, synth } from './prefect';
import type { Team } from './team';

/** Graces that tests can wait for. */
export const SHORT = {
  interval: Duration.seconds(5),
  finishedJobs: { after: Duration.seconds(30) },
  cancellingRuns: { after: Duration.seconds(30) },
  unstartableJobs: { after: Duration.seconds(90) },
  lostRuns: { after: Duration.seconds(60) },
  orphanedDaskClusters: { after: Duration.seconds(10) },
};

/** The manifests of a sweeper. */
export function sweeperIn(home: Namespace, prefect: Prefect, props: Partial<FlowRunSweeperProps>): KubeObject[] {
  return synth(home, (chart) => new FlowRunSweeper(chart, 'Sweeper', { api: prefect.api, ...SHORT, ...props }));
}

/** A sweeper that ends lost runs after seconds. Its props allow a minute at least, which is too long to wait for so often. */
export function quickSweeper(home: Namespace, team: Team, props: Partial<FlowRunSweeperProps> = {}, interval = 3): KubeObject[] {
  const manifests = sweeperIn(home, team, { namespaces: [team.flows.name], ...props });
  for (const { kind, spec } of manifests) {
    if (kind !== 'Deployment') continue;
    const [container] = spec.template.spec.containers;
    container.args = container.args.map((arg: string) =>
      arg.replace(/^--lost-runs=.*/, '--lost-runs=5').replace(/^--interval=.*/, `--interval=${interval}`),
    );
  }
  return manifests;
}

/** Installs a sweeper, and waits until a pass has succeeded. */
export async function installSweeper(home: Namespace, prefect: Prefect, props: Partial<FlowRunSweeperProps>): Promise<KubeObject[]> {
  const manifests = sweeperIn(home, prefect, props);
  await prefect.cluster.apply(manifests);
  await agentReady(home, props.resourceName ?? 'flow-run-sweeper');
  return manifests;
}

/** The metrics of a sweeper, as Prometheus gets them. */
export async function scrape(home: Namespace, name = 'flow-run-sweeper'): Promise<string> {
  const pods = (await home.list('pods', `app=${name}`)).map(({ metadata }) => metadata.name as string);
  expect(pods).toHaveLength(1);
  const script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics').read().decode(), end='')";
  const { code, stdout, stderr } = await home.exec(pods[0] as string, ['python3', '-c', script]);
  if (code !== 0) throw new Error(`the sweeper cannot be scraped: ${stderr}`);
  return stdout;
}

export async function killSweeper(home: Namespace, name = 'flow-run-sweeper'): Promise<void> {
  await home.kubectl(['delete', 'pods', `--selector=app=${name}`, '--grace-period=0', '--force', '--wait=false']);
}
