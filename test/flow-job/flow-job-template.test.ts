import { Duration } from 'cdk8s';
import { parse } from 'yaml';
import {
  DaskWorkerPolicy,
  EnvValue,
  EvictionPolicy,
  FlowJobTemplate,
  type FlowJobTemplateProps,
  PodSecurity,
  SecretKeyRef,
  Volume,
} from '../../lib';
import { everyDaskProp, everyFlowJobProp } from '../every-prop';
import { chartWith, type Manifest, newChart, only, synth, tree } from '../support';

const template = (props: FlowJobTemplateProps = {}) => synth((chart) => new FlowJobTemplate(chart, 'Jobs', props));
const job = (props?: FlowJobTemplateProps): Manifest =>
  parse(
    only(
      'ConfigMap',
      template(props).filter(({ data }) => data?.['job.yaml']),
    ).data['job.yaml'],
  );
const podSpec = (props?: FlowJobTemplateProps): Manifest => job(props).spec.template.spec;
const flow = (props?: FlowJobTemplateProps): Manifest => podSpec(props).containers[0];

const allProps: Required<FlowJobTemplateProps> = {
  ...everyFlowJobProp(new DaskWorkerPolicy(newChart('flows'), 'Dask', everyDaskProp)),
  flowNamespace: 'flows',
  onEviction: EvictionPolicy.PROTECT,
  resourceName: 'team-jobs',
};

test('minimal: Job', () => expect(job()).toMatchSnapshot('Job'));
test('all props: Job', () => expect(job(allProps)).toMatchSnapshot('Job'));
test('all props: PodDisruptionBudget', () =>
  expect(only('PodDisruptionBudget', template(allProps))).toMatchSnapshot('PodDisruptionBudget'));
test('paths are a contract', () => {
  expect(tree(chartWith((chart) => new FlowJobTemplate(chart, 'Jobs', { onEviction: EvictionPolicy.PROTECT })))).toEqual([
    'chart Chart',
    'chart/Jobs FlowJobTemplate',
    'chart/Jobs/Resource ApiObject',
    'chart/Jobs/PodDisruptionBudget ApiObject',
  ]);
});

test('a failed flow is not run again by Kubernetes', () => {
  expect([job().spec.backoffLimit, podSpec().restartPolicy]).toEqual([0, 'Never']);
});
test('the flow container is the first, whatever runs beside it', () => {
  expect(podSpec(allProps).containers.map(({ name }: Manifest) => name)).toEqual(['flow']);
});
test('a sidecar is an init container that is restarted always', () => {
  const found = podSpec({ initContainers: [{ name: 'a', image: 'a:1' }], sidecars: [{ name: 'b', image: 'b:1' }] }).initContainers;
  expect(found).toMatchObject([{ name: 'a' }, { name: 'b', restartPolicy: 'Always' }]);
  expect(found[0]).not.toHaveProperty('restartPolicy');
});
test('restricted: no privilege, and a home of its own', () => {
  expect(podSpec().securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001 });
  expect(flow().env).toContainEqual({ name: 'HOME', value: '/home/prefect' });
  expect(flow().volumeMounts).toEqual([{ name: 'home', mountPath: '/home/prefect' }]);
});
test('baseline: the user of the image', () => {
  const spec = podSpec({ podSecurity: PodSecurity.BASELINE });
  expect(spec).not.toHaveProperty('securityContext');
  expect(spec.containers).toEqual([{ name: 'flow', terminationMessagePolicy: 'FallbackToLogsOnError' }]);
});
test('init containers and sidecars have no privilege either', () => {
  const found = podSpec({ initContainers: [{ name: 'a', image: 'a:1' }], sidecars: [{ name: 'b', image: 'b:1' }] }).initContainers;
  for (const container of found)
    expect(container.securityContext).toEqual({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
});
test('a token only for an account that was named', () => {
  expect(podSpec().automountServiceAccountToken).toBe(false);
  expect(podSpec({ serviceAccountName: 'flows' }).automountServiceAccountToken).toBe(true);
  expect(podSpec({ serviceAccountName: 'flows', automountServiceAccountToken: false }).automountServiceAccountToken).toBe(false);
});
test('terminationMessageFromLog: of every container of the pod', () => {
  const initContainers = [{ name: 'wait', image: 'busybox:1' }];
  const policies = (props: FlowJobTemplateProps) => {
    const spec = podSpec({ initContainers, ...props });
    return [...spec.containers, ...spec.initContainers].map(({ terminationMessagePolicy }: Manifest) => terminationMessagePolicy);
  };
  expect(policies({})).toEqual(['FallbackToLogsOnError', 'FallbackToLogsOnError']);
  expect(policies({ terminationMessageFromLog: false })).toEqual([undefined, undefined]);
});
test('extraPipPackages', () => {
  expect(flow({ extraPipPackages: ['a', 'b[c]==1.0'] }).env).toContainEqual({ name: 'EXTRA_PIP_PACKAGES', value: 'a b[c]==1.0' });
});
test('extraPipPackages: every form of version that a shell leaves alone', () => {
  const extraPipPackages = ['a==v1.0.*', 'b!=1!2.0rc1.post2.dev3', 'c~=1.4a1', 'd==1+local.7', 'e>1,<=2'];
  expect(flow({ extraPipPackages }).env).toContainEqual({ name: 'EXTRA_PIP_PACKAGES', value: extraPipPackages.join(' ') });
});
test('pipIndexUrl', () => {
  expect(flow({ pipIndexUrl: SecretKeyRef.of('pip', 'url') }).env).toContainEqual({
    name: 'PIP_INDEX_URL',
    valueFrom: { secretKeyRef: { name: 'pip', key: 'url' } },
  });
});
test('protect: annotations of the autoscalers, and a budget over these pods', () => {
  const props = { onEviction: EvictionPolicy.PROTECT };
  expect(job(props).spec.template.metadata.annotations).toEqual({
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
    'karpenter.sh/do-not-disrupt': 'true',
  });
  const { matchLabels } = only('PodDisruptionBudget', template(props)).spec.selector;
  expect(job(props).spec.template.metadata.labels).toMatchObject(matchLabels);
});
test('the budget is where the flows are', () => {
  const props = { onEviction: EvictionPolicy.PROTECT, flowNamespace: 'flows' };
  expect(template(props).map(({ metadata }) => metadata.namespace)).toEqual(['prefect', 'flows']);
});
test('podSpec and affinity lose nothing', () => {
  const podSpecHatch = { hostUsers: false, newField: [{ a: {} }] };
  expect(podSpec({ podSpec: podSpecHatch, affinity: { newAffinity: {} } })).toMatchObject({
    ...podSpecHatch,
    affinity: { newAffinity: {} },
  });
});

test.each(['=', '<<', '0o17'])('Python and readers of YAML 1.2 read the text %p as text', (value) => {
  const written = only('ConfigMap', template({ env: { A: EnvValue.of(value) } })).data['job.yaml'];
  expect(written).toContain(`"value": "${value}"`);
  expect(flow({ env: { A: EnvValue.of(value) } }).env).toContainEqual({ name: 'A', value });
});

describe('pods without fixed uid', () => {
  const user = (props: FlowJobTemplateProps) => job(props).spec.template.spec.securityContext;
  test('by default they have one', () => expect(user({})).toMatchObject({ runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001 }));
  test('the cluster assigns it', () => {
    expect(user({ omitRunAsUser: true })).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  });
});

describe('refuses', () => {
  const sidecar = { name: 's', image: 's:1' };
  const cases: [string, FlowJobTemplateProps, string][] = [
    [
      'a probe of an init container',
      { initContainers: [{ name: 'a', image: 'b:1', startupProbe: { tcpSocket: { port: 1 } } }] },
      'initContainers[0].startupProbe must not be set: an init container has no probes; make it one of the sidecars',
    ],
    [
      'a probe that asks nothing',
      { sidecars: [{ name: 'a', image: 'b:1', startupProbe: { periodSeconds: 1 } }] },
      'sidecars[0].startupProbe is ["periodSeconds"]: it must have exactly one of exec, grpc, httpGet, tcpSocket',
    ],
    ['an image without a tag', { image: 'flows' }, 'image is "flows": it must be an image with a tag'],
    [
      'a TTL in which the agent misses a failure',
      { ttlAfterFinished: Duration.seconds(60) },
      'ttlAfterFinished is 1 minute: it must be at least 120 seconds',
    ],
    [
      'a TTL of more than 32 bits',
      { ttlAfterFinished: Duration.seconds(2 ** 31) },
      'ttlAfterFinished is 2147483648 seconds: it must be at most 2147483647 seconds',
    ],
    ['a deadline of more than 32 bits', { activeDeadline: Duration.seconds(1e22) }, 'activeDeadline is 1e+22 seconds: it must be at most'],
    [
      'annotations that are too large with the one that Kubernetes adds',
      { jobAnnotations: { a: 'x'.repeat(262_112) } },
      'jobAnnotations is "262145 bytes": it must be at most 262144 bytes',
    ],
    [
      'annotations that no YAML reader takes',
      { podAnnotations: { a: '\u0085' } },
      'podAnnotations["a"] must not have NUL, characters from U+007F',
    ],
    [
      'a label that the agent sets',
      { podLabels: { 'prefect.io/flow_id': 'a' } },
      'podLabels is "prefect.io/flow_id": it must not be one of the names that the construct sets',
    ],
    [
      'a label by which a Job knows its pods',
      { podLabels: { 'job-name': 'a' } },
      'podLabels is "job-name": it must not be one of the names that the construct sets',
    ],
    [
      'a template larger than a ConfigMap',
      { env: { A: EnvValue.of('x'.repeat(2 ** 20)) } },
      'bytes": it must be at most 1048576 bytes, the limit of a ConfigMap',
    ],
    [
      'two mounts at one path',
      { volumes: { cache: Volume.emptyDir({ mountPath: '/c' }) }, sidecars: [{ ...sidecar, volumeMounts: { cache: '/x', home: '/x' } }] },
      'sidecars[0].volumeMounts is "/x": it must not be given twice',
    ],
    [
      'a mount at no path',
      { initContainers: [{ ...sidecar, volumeMounts: { home: '' } }] },
      'initContainers[0].volumeMounts is "": it must be an absolute path',
    ],
    ['a deadline of nothing', { activeDeadline: Duration.seconds(0) }, 'activeDeadline is 0 seconds: it must be a whole number of seconds'],
    [
      'a label of the Job that is ours',
      { jobLabels: { 'cdk8s-prefect/job-template': 'x' } },
      'jobLabels is "cdk8s-prefect/job-template": it must not be one of the names that the construct sets',
    ],
    ['containers', { podSpec: { containers: [] } }, 'podSpec.containers must not be set in podSpec; the agent decides on the first one'],
    ['initContainers in podSpec', { podSpec: { initContainers: [] } }, 'use the props initContainers and sidecars'],
    [
      'a variable that the agent overwrites',
      { env: { PREFECT__CLOUD__API_KEY: EnvValue.of('s3cret') } },
      'env.PREFECT__CLOUD__API_KEY must not be set: the agent overwrites it',
    ],
    ['the level of logs', { env: { PREFECT__LOGGING__LEVEL: EnvValue.of('DEBUG') } }, 'use flowLevel of DebugConfig'],
    ['pip packages as a variable', { env: { EXTRA_PIP_PACKAGES: EnvValue.of('a') } }, 'use the prop extraPipPackages'],
    ['the home directory', { env: { HOME: EnvValue.of('/root') } }, 'env.HOME must not be set in env: the construct sets it'],
    [
      'two containers of one name',
      { initContainers: [sidecar], sidecars: [sidecar] },
      'sidecars[0].name is "s": it must not be one of flow, s',
    ],
    ['a sidecar named flow', { sidecars: [{ ...sidecar, name: 'flow' }] }, 'sidecars[0].name is "flow"'],
    [
      'a mount of no volume',
      { sidecars: [{ ...sidecar, volumeMounts: { cache: '/x' } }] },
      'sidecars[0].volumeMounts is "cache": it must name volumes of the template: home',
    ],
    ['an account without a name', { serviceAccountName: '' }, 'serviceAccountName is "": it must be a DNS subdomain'],
    ['an image without a name', { image: '' }, 'image is "": it must be an image with a tag'],
    ['an account that Kubernetes refuses', { serviceAccountName: 'A' }, 'serviceAccountName is "A": it must be a DNS subdomain'],
    ['a flowNamespace that Kubernetes refuses', { flowNamespace: 'A' }, 'flowNamespace is "A": it must be a DNS label'],
    ['a requirement with white space', { extraPipPackages: ['a >= 1'] }, 'extraPipPackages[0] must be a name with extras and versions'],
    ['a requirement from git', { extraPipPackages: ['git+https://example.com/a'] }, 'and the image has no git'],
    ['an option of pip', { extraPipPackages: ['a', '-rfile'] }, 'extraPipPackages[1] must be a name'],
  ];
  test.each(cases)('%s', (_name, props, message) => expect(() => template(props)).toThrow(message));

  test('a chart without a namespace', () => {
    expect(() => new FlowJobTemplate(newChart(), 'Jobs')).toThrow('chart/Jobs: the namespace of its chart must be set');
  });
  test('two templates of one name', () => {
    expect(() =>
      synth((chart) => {
        new FlowJobTemplate(chart, 'One');
        new FlowJobTemplate(chart, 'Two');
      }),
    ).toThrow('resourceName is "prefect-job-template": it must be unique');
  });
});
