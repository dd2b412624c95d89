// Whatever the constructs accept, a real API server admits: dry runs, with all of its admission, strict about fields.
import { App, Chart, Testing } from 'cdk8s';
import { parse } from 'yaml';
import {
  AgentRbac,
  type AgentRbacProps,
  BaseJobTemplate,
  DaskWorkerPolicy,
  DebugConfig,
  type DebugConfigProps,
  EvictionPolicy,
  FlowJobTemplate,
  FlowRunJob,
  FlowRunSweeper,
  JobVariable,
  PrefectAgent,
  PrefectApi,
  StockPrefectAgent,
  WorkPool,
} from '../../lib';
import { apps, synthApp } from '../apps';
import { everyAgentProp, everyDaskProp, everyFlowJobProp, everyStockFlag, everySweeperProp } from '../every-prop';
import fc from '../fast-check';
import { Tally } from '../oracle/generate';
import { apis } from '../oracle/worker-generate';
import type { Manifest } from '../support';
import {
  type AgentProps,
  agentProps,
  type DaskProps,
  daskProps,
  debugProps,
  flowRun,
  type RunJobProps,
  rbacProps,
  runJobProps,
  type StockProps,
  type SweeperProps,
  stockProps,
  sweeperProps,
  type TemplateProps,
  templateProps,
} from './admission/props';
import { podsOf, Site } from './admission/site';
import { dnsLabel, made, optional } from './admission/values';
import { Cluster } from './harness/cluster';

const cluster = new Cluster();
const server = PrefectApi.server({ url: 'http://prefect:4200' });

/** Our own refusals, and those of Duration and Size. */
const refusals = [
  /^(chart(\/\w+)*( \(its Dask \w+\))?|[A-Z]\w+): .+; .+$/s,
  /whole number/,
  /^(Duration|Storage) amounts cannot be negative/,
];

describe.each([
  { server: 'the API server', declare: test, open: () => Site.open(cluster.api) },
  { server: 'the API server of Kubernetes 1.27', declare: cluster.testWith('oldest'), open: () => Site.open(cluster.oldest) },
])('$server', ({ declare, open }) => {
  let site: Site;
  const onSite = (name: string, body: () => Promise<void>) =>
    declare(name, async () => {
      site ??= await open();
      await body();
    });
  afterAll(() => site?.close());

  /** Asks about `numRuns` sets of props that were accepted or refused by us; at least four in five must be accepted. */
  async function everySet<T>(name: string, set: fc.Arbitrary<T>, numRuns: number, build: (set: T) => () => Promise<void>): Promise<void> {
    const tally = new Tally();
    await fc.assert(
      fc.asyncProperty(set, async (props) => {
        await tally.take(() => build(props), refusals)?.();
      }),
      // CI asks about a fifth.
      { numRuns: process.env.FULL ? numRuns : numRuns / 5 },
    );
    console.info(`${name}: ${tally}`);
    expect(tally.share).toBeGreaterThanOrEqual(0.8);
  }

  const chartIn = (namespace: string) => new Chart(new App(), 'chart', { namespace });

  describe.each(apps)('%s', (app) => {
    const stock = app === 'examples/adoption/stock.ts';

    onSite('is admitted, object by object and pod by pod', async () => {
      const objects = synthApp(app);
      const names = new Set(objects.flatMap(({ kind, metadata }) => (kind === 'Namespace' ? metadata.name : (metadata.namespace ?? []))));
      const namespaces = new Map<string, string>();
      for (const name of names) namespaces.set(name, await site.api.createNamespace({ podSecurity: stock ? 'baseline' : 'restricted' }));
      await site.admit(
        objects.map((object) =>
          object.kind === 'Namespace'
            ? { ...object, metadata: { ...object.metadata, name: `${namespaces.get(object.metadata.name)}-as-written` } }
            : { ...object, metadata: { ...object.metadata, namespace: namespaces.get(object.metadata.namespace) } },
        ),
        site.namespace,
      );
      const pods = [...podsOf([...objects, ...jobsOf(objects)]), ...daskPodsOf(objects)];
      await site.admit(pods, stock ? site.pods.baseline : site.pods.restricted);
    });
  });

  onSite('what the snapshots pin is admitted, with every prop at once', async () => {
    const chart = chartIn(site.namespace);
    new PrefectAgent(chart, 'Agent', everyAgentProp(chart));
    new FlowRunSweeper(chart, 'Sweeper', { ...everySweeperProp, namespaces: [site.namespace, site.flowNamespace] });
    const everyProp = everyFlowJobProp(new DaskWorkerPolicy(chart, 'Dask', everyDaskProp));
    new FlowJobTemplate(chart, 'Template', { ...everyProp, resourceName: 'every-prop', onEviction: EvictionPolicy.PROTECT });
    new FlowRunJob(chart, 'Run', { ...everyProp, api: server, flowRunId: '1a2b3c4d-2222-3333-4444-555555555555' });
    const objects = Testing.synth(chart);
    await admitting([...objects, ...jobsOf(objects)], 'restricted')();
    const flags = chartIn(site.pods.privileged);
    new StockPrefectAgent(flags, 'Agent', { ...everyStockFlag, namespace: site.pods.privileged });
    await admitting(Testing.synth(flags), 'privileged')();
  });

  onSite('PrefectAgent, of many sets of props', () =>
    everySet(
      'PrefectAgent',
      fc.record({ props: agentProps, debug: optional(debugProps), template: optional(dnsLabel), apart: fc.boolean() }),
      1_250,
      ({ props, debug, template, apart }) => {
        const chart = chartIn(site.namespace);
        const flowNamespace = apart ? site.flowNamespace : undefined;
        new PrefectAgent(chart, 'Agent', {
          ...made<AgentProps>(props),
          flowNamespace,
          debug: debug && new DebugConfig(chart, 'Debug', made<DebugConfigProps>(debug)),
          jobTemplate: template === undefined ? undefined : new FlowJobTemplate(chart, 'Jobs', { flowNamespace, resourceName: template }),
        });
        return admitting(Testing.synth(chart), 'restricted');
      },
    ),
  );

  onSite('FlowJobTemplate, of many sets of props, and the Job of a flow run', () =>
    everySet('FlowJobTemplate', fc.record({ props: templateProps, run: flowRun }), 1_250, ({ props: spec, run }) => {
      const chart = chartIn(site.namespace);
      const props = made<TemplateProps>(spec);
      const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { ...props, flowNamespace: site.flowNamespace });
      const objects = Testing.synth(chart);
      const agent = new PrefectAgent(chart, 'Agent', { api: server, flowNamespace: site.flowNamespace, jobTemplate });
      return admitting([...objects, ...jobsOf(objects), agent.effectiveJob(run)], props.podSecurity ?? 'restricted');
    }),
  );

  onSite('BaseJobTemplate, of many sets of props, its WorkPool, and the Job that a worker makes for a flow run', () =>
    everySet('BaseJobTemplate', fc.record({ spec: templateProps, way: fc.constantFrom(...Object.values(apis)) }), 300, ({ spec, way }) => {
      const props = ofPrefect3(made<TemplateProps>(spec));
      const chart = chartIn(site.namespace);
      const baseJobTemplate = new BaseJobTemplate(chart, 'Template', {
        ...props,
        ...(props.image !== undefined && { image: 'registry.example/flows:42' }),
        api: way.api,
        flowNamespace: site.pods[props.podSecurity ?? 'restricted'],
        jobVariables: {
          image: JobVariable.string(),
          cpu_limit: JobVariable.string(),
          team: JobVariable.choice(['fraud', 'risk'], { default: 'risk' }),
          env: JobVariable.map(),
        },
        nodeSelector: { ...props.nodeSelector, team: '{{ team }}' },
      });
      new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate });
      const job = baseJobTemplate.effectiveJob({ name: 'brave lynx' }, { cpu_limit: '1P', team: 'fraud', env: { A: 'b' } }) as Manifest;
      const objects = Testing.synth(chart);
      return async () => {
        await admitting(objects, 'restricted')();
        // With the pod that a controller makes of it.
        await admitting([{ ...job, metadata: { ...job.metadata, name: 'of-worker' } }], props.podSecurity ?? 'restricted')();
      };
    }),
  );

  onSite('DaskWorkerPolicy, of many sets of props, and the pods of its clusters', () =>
    everySet('DaskWorkerPolicy', fc.record({ policy: daskProps, props: templateProps }), 500, ({ policy, props: spec }) => {
      const props = made<TemplateProps>(spec);
      const chart = chartIn(site.flowNamespace);
      const dask = new DaskWorkerPolicy(chart, 'Dask', made<DaskProps>(policy));
      new FlowJobTemplate(chart, 'Jobs', { ...props, automountServiceAccountToken: undefined, dask });
      return admitting(Testing.synth(chart), props.podSecurity ?? 'restricted');
    }),
  );

  onSite('FlowRunJob, of many sets of props', () =>
    everySet('FlowRunJob', runJobProps, 500, (spec) => {
      const props = made<RunJobProps>(spec);
      const level = props.podSecurity ?? 'restricted';
      const chart = chartIn(site.pods[level]);
      new FlowRunJob(chart, 'Run', props);
      return admitting(Testing.synth(chart), level);
    }),
  );

  onSite('FlowRunSweeper, of many sets of props', () =>
    everySet('FlowRunSweeper', sweeperProps, 500, (spec) => {
      const chart = chartIn(site.namespace);
      new FlowRunSweeper(chart, 'Sweeper', { ...made<SweeperProps>(spec), namespaces: [site.namespace, site.flowNamespace] });
      return admitting(Testing.synth(chart), 'restricted');
    }),
  );

  onSite('AgentRbac, of many sets of props, and the namespace it names', () =>
    everySet('AgentRbac', rbacProps, 300, (spec) => {
      const chart = chartIn(site.namespace);
      const props = made<AgentRbacProps>(spec);
      new AgentRbac(chart, 'Rbac', props);
      const objects = Testing.synth(chart).map((object) => ({ ...object, metadata: { ...object.metadata, namespace: site.namespace } }));
      const name = props.flowNamespace;
      return () => site.admit([...objects, ...(name === undefined ? [] : [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }])]);
    }),
  );

  onSite('StockPrefectAgent, of many sets of props', () =>
    everySet('StockPrefectAgent', stockProps, 500, (props) => {
      const namespace = site.pods.privileged;
      const chart = chartIn(namespace);
      new StockPrefectAgent(chart, 'Agent', { ...made<StockProps>(props), namespace });
      return admitting(Testing.synth(chart), 'privileged');
    }),
  );

  describe('what these tests would see:', () => {
    const synth = (build: (chart: Chart) => void) => {
      const chart = chartIn(site.namespace);
      build(chart);
      return Testing.synth(chart);
    };

    onSite('a pod that Pod Security "restricted" refuses: that of the stock agent', async () => {
      const pods = podsOf(synth((chart) => new StockPrefectAgent(chart, 'Agent')));
      await site.admit(pods, site.pods.baseline);
      await expect(site.admit(pods, site.pods.restricted)).rejects.toThrow(
        'Pod of-deployment is refused: pods "of-deployment" is forbidden: violates PodSecurity "restricted:latest"',
      );
    });
    onSite('a field that Kubernetes does not know', async () => {
      const objects = synth((chart) => new PrefectAgent(chart, 'Agent', { api: server, podSpec: { newField: 1 } }));
      await expect(site.admit(objects)).rejects.toThrow(
        /Deployment prefect-agent is refused: .*unknown field "spec.template.spec.newField"/,
      );
    });
    onSite('a value that Kubernetes refuses', async () => {
      const objects = synth((chart) => new PrefectAgent(chart, 'Agent', { api: server, podSpec: { hostname: 'A' } }));
      await expect(site.admit(objects)).rejects.toThrow(
        /Deployment prefect-agent is refused: .*spec.template.spec.hostname: Invalid value/,
      );
    });
    onSite('a warning', async () => {
      const podSpec = {
        topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'beta.kubernetes.io/os', whenUnsatisfiable: 'ScheduleAnyway' }],
      };
      const objects = synth((chart) => new PrefectAgent(chart, 'Agent', { api: server, podSpec }));
      await expect(site.admit(objects)).rejects.toThrow('Deployment prefect-agent is admitted with warnings: ');
    });
  });

  /** Admits the objects, and the pods they make where a level of Pod Security is enforced. */
  function admitting(objects: readonly Manifest[], level: keyof Site['pods']): () => Promise<void> {
    return async () => {
      await site.admit(objects, site.pods[level]);
      await site.admit([...podsOf(objects), ...daskPodsOf(objects)], site.pods[level]);
    };
  }
});

/**
 * The props that both generations take, without annotations for the container `flow`. The worker makes one dash of several in labels, and puts the
 * annotations of the Job over those of the pod: what that changes is refused.
 */
function ofPrefect3(props: TemplateProps) {
  const { extraPipPackages: _p, pipIndexUrl: _i, ttlAfterFinished: _t, terminationMessageFromLog: _l, ...rest } = props;
  const { jobLabels, podLabels, resourceName, podAnnotations = {}, jobAnnotations = {} } = rest;
  const own = Object.entries(podAnnotations).filter(([key]) => !Object.hasOwn(jobAnnotations, key) && !key.endsWith('.io/flow'));
  return {
    ...rest,
    jobLabels: singleDashes(jobLabels),
    podLabels: singleDashes(podLabels),
    podAnnotations: Object.fromEntries(own),
    resourceName: resourceName?.replace(/-+/g, '-'),
  };
}

function singleDashes(labels: Record<string, string> | undefined): Record<string, string> | undefined {
  const entries = Object.entries(labels ?? {}).map((entry) => entry.map((text) => text.replace(/-+/g, '-')));
  return labels && Object.fromEntries(entries);
}

/** The Jobs that an agent would make of the templates among the objects. */
function jobsOf(objects: readonly Manifest[]): Manifest[] {
  return objects.filter(({ data }) => data?.['job.yaml']).map(({ data }) => complete(parse(data['job.yaml'])));
}

/** The Dask pods that a flow run would make of the templates among the objects. */
function daskPodsOf(objects: readonly Manifest[]): Manifest[] {
  const env = {
    POD_NAME: 'prefect-job-00000000-abcde',
    POD_UID: '1a2b3c4d-2222-3333-4444-555555555555',
    PREFECT__CONTEXT__FLOW_RUN_ID: '5d4c3b2a-2222-3333-4444-555555555555',
    PREFECT__CONTEXT__IMAGE: 'prefecthq/prefect:1.4.1',
  };
  return objects.flatMap(({ data = {} }) =>
    ['worker', 'scheduler'].flatMap((component) => {
      const template: string | undefined = data[`${component}.yaml`];
      if (template === undefined) return [];
      const { metadata, ...pod } = parse(template.replace(/\$\{(\w+)\}/g, (_, name: keyof typeof env) => env[name]));
      return [{ ...pod, metadata: { ...metadata, name: `of-dask-${component}` } }];
    }),
  );
}

/** With the name and the image that the agent decides. */
function complete(job: Manifest): Manifest {
  job.metadata.name = 'prefect-job-00000000';
  job.spec.template.spec.containers[0].image ??= 'prefecthq/prefect:1.4.1';
  return job;
}
