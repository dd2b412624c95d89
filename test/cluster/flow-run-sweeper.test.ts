import { EvictionPolicy } from '../../lib';
import { Cluster } from './harness/cluster';
import { jobsOf } from './prefect';
import { installSweeper, sweeperIn } from './sweeper';
import { Team } from './team';

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress', test.concurrent);

const teams: Team[] = [];
async function start(key?: string): Promise<Team> {
  const team = await Team.start(cluster, key);
  teams.push(team);
  return team;
}
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(teams.map((team) => team.stop()));
});

const API_KEY = 'key-of-the-team';

onCluster('a run whose pod is evicted with RUN_AGAIN is run again, and succeeds; applying the sweeper again forgets nothing', async () => {
  const team = await start(API_KEY);
  await team.install({ onEviction: EvictionPolicy.RUN_AGAIN });
  await installSweeper(team.home, team, { namespaces: [team.flows.name] });
  const run = team.schedule('slow', { parameters: { seconds: 20 } });
  const pod = await team.runningPod(run);
  await team.flows.eventually(() => expect(team.log(run)).toContain('waiting for'));
  const ledger = () => team.home.get('configmap', `flow-run-sweeper-${team.flows.name}`);
  await team.flows.eventually(async () => expect(Object.keys((await ledger()).data ?? {})).toEqual([run]));
  await team.flows.evict(pod.metadata.name as string);
  await team.flows.eventually(async () => expect(JSON.parse((await ledger()).data[run])).toMatchObject({ gone: true }), {
    timeout: 90_000,
  });
  await cluster.apply(sweeperIn(team.home, team, { namespaces: [team.flows.name] }));
  expect(JSON.parse((await ledger()).data[run])).toMatchObject({ gone: true, on_eviction: 'run-again' });
  await team.ended(run, 'Success', 240_000);
  expect(team.states(run)).toEqual(['Scheduled', 'Submitted', 'Running', 'Scheduled', 'Submitted', 'Running', 'Success']);
  await team.flows.eventually(async () => expect(await jobsOf(team.flows, run)).toEqual([]), { timeout: 150_000 });
  const events = await team.flows.list('events');
  expect(events.map(({ reason }) => reason)).toContain('LostRuns');
});
