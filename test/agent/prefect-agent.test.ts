import { App, Chart, Duration, JsonPatch, Size, Testing } from 'cdk8s';
import {
  ConfigMapKeyRef,
  Cpu,
  DebugConfig,
  EnvValue,
  FlowJobTemplate,
  type FlowRun,
  FlowRunSweeper,
  type FlowRunSweeperProps,
  PrefectAgent,
  type PrefectAgentProps,
  PrefectApi,
  SecretKeyRef,
  TaintEffect,
  Volume,
} from '../../lib';
import { everyAgentProp } from '../every-prop';
import { chartWith, container, literalEnv, type Manifest, newChart, only, synth, tree } from '../support';

const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });

function agent(props: Partial<PrefectAgentProps> = {}): Manifest[] {
  return synth((chart) => new PrefectAgent(chart, 'Agent', { api, ...props }));
}

function deployment(props: Partial<PrefectAgentProps> = {}): Manifest {
  return only('Deployment', agent(props));
}

function podSpec(props: Partial<PrefectAgentProps> = {}): Manifest {
  return deployment(props).spec.template.spec;
}

describe('minimal', () => {
  test('Deployment', () => expect(deployment()).toMatchSnapshot('Deployment'));
  test('NetworkPolicy', () => expect(only('NetworkPolicy', agent())).toMatchSnapshot('NetworkPolicy'));
  test('kinds', () => {
    expect(agent().map(({ kind }) => kind)).toEqual([
      'ServiceAccount',
      'Role',
      'RoleBinding',
      'ConfigMap',
      'ConfigMap',
      'NetworkPolicy',
      'Deployment',
    ]);
  });

  test('paths are a contract', () => {
    expect(tree(chartWith((chart) => new PrefectAgent(chart, 'Agent', { api })))).toEqual([
      'chart Chart',
      'chart/Agent PrefectAgent',
      'chart/Agent/Rbac AgentRbac',
      'chart/Agent/Rbac/ServiceAccount ApiObject',
      'chart/Agent/Rbac/Resource ApiObject',
      'chart/Agent/Rbac/RoleBinding ApiObject',
      'chart/Agent/Jobs FlowJobTemplate',
      'chart/Agent/Jobs/Resource ApiObject',
      'chart/Agent/Launcher ApiObject',
      'chart/Agent/NetworkPolicy ApiObject',
      'chart/Agent/Resource ApiObject',
    ]);
  });

  test('names and selector are those of the stock install, so that it is replaced', () => {
    const { metadata, spec } = deployment();
    expect([metadata.name, spec.selector.matchLabels]).toEqual(['prefect-agent', { app: 'prefect-agent' }]);
  });

  test('the main child is the Deployment', () => {
    const chart = newChart('prefect');
    const made = new PrefectAgent(chart, 'Agent', { api });
    expect(made.node.defaultChild).toBe(made.deployment);
  });
});

test('all props: Deployment', () => {
  const manifests = synth((chart) => new PrefectAgent(chart, 'Agent', everyAgentProp(chart)));
  expect(only('Deployment', manifests)).toMatchSnapshot('Deployment');
});

describe('what Prefect reads', () => {
  const args = (props: Partial<PrefectAgentProps>) => container(deployment(props)).args.slice(12);

  test('labels', () => expect(args({ labels: ['kube', 'gpu'] })).toEqual(['--label=kube', '--label=gpu']));
  test('name', () => expect(args({ name: 'team' })).toEqual(['--name=team']));
  test('flowEnvVars', () => expect(args({ flowEnvVars: { A: '1', B: 'x=y' } })).toEqual(['--env=A=1', '--env=B=x=y']));
  test('the kubelet expands no value', () => expect(args({ flowEnvVars: { A: '$(HOME) $$' } })).toEqual(['--env=A=$$(HOME) $$$$']));
  test('agentConfigId', () => {
    const id = '99999999-8888-7777-6666-555555555555';
    expect(args({ agentConfigId: id })).toEqual([`--agent-config-id=${id}`]);
  });
  test('sendFlowRunLogs', () => expect(args({ sendFlowRunLogs: false })).toEqual(['--no-cloud-logs']));
  test('deleteFinishedJobs', () => expect(literalEnv(deployment({ deleteFinishedJobs: false })).DELETE_FINISHED_JOBS).toBe('False'));
  test('what is Prefect’s default is not written', () => {
    expect(args({ sendFlowRunLogs: true })).toEqual([]);
    expect(literalEnv(deployment({ deleteFinishedJobs: true }))).not.toHaveProperty('DELETE_FINISHED_JOBS');
  });

  test('flowNamespace', () => expect(literalEnv(deployment({ flowNamespace: 'flows' })).NAMESPACE).toBe('flows'));
  test('the pod’s own namespace without it, wherever tools put it', () => {
    expect(container(deployment()).env).toContainEqual({
      name: 'NAMESPACE',
      valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } },
    });
  });
  describe.each([
    ['--sweeper', 'lostRuns'],
    ['--sweeper-of-image-pulls', 'unstartableJobs'],
  ] as const)('%s: whether a sweeper has the rule %s for its flow namespace', (flag, rule) => {
    const args = (build: (chart: Chart) => void) => container(only('Deployment', synth(build).filter(isAgent))).args;
    const isAgent = ({ metadata }: Manifest) => metadata.name === 'prefect-agent';
    const withSweeper = (props: Partial<FlowRunSweeperProps>, agentProps: Partial<PrefectAgentProps> = {}) =>
      args((chart) => {
        // The sweeper is made after the agent.
        new PrefectAgent(chart, 'Agent', { api, flowNamespace: 'flows', ...agentProps });
        new FlowRunSweeper(chart, 'Sweeper', { api, namespaces: ['other', 'flows'], ...props });
      });

    test('is seen in the app', () => expect(withSweeper({})).toContain(`${flag}=true`));
    test('of another namespace does not', () => expect(withSweeper({ namespaces: ['other'] })).toContain(`${flag}=false`));
    test('without that rule does not', () => {
      const flags = withSweeper({ [rule]: { enabled: false } }).filter((arg: string) => arg.startsWith('--sweeper'));
      expect(flags.filter((arg: string) => arg.endsWith('=false'))).toEqual([`${flag}=false`]);
    });
    test('in a dry run does not', () => expect(withSweeper({ dryRun: true })).toContain(`${flag}=false`));
    test('is not there', () => {
      expect(args((chart) => new PrefectAgent(chart, 'Agent', { api }))).toContain(`${flag}=false`);
    });
    test('is said', () => {
      expect(args((chart) => new PrefectAgent(chart, 'Agent', { api, sweeper: true }))).toContain(`${flag}=true`);
      expect(withSweeper({}, { sweeper: false })).toContain(`${flag}=false`);
    });
  });
  test('requestTimeout', () => {
    expect(literalEnv(deployment({ requestTimeout: Duration.seconds(30) })).PREFECT__CLOUD__REQUEST_TIMEOUT).toBe('30');
  });
  test('kubernetesKeepAlive', () => {
    expect(literalEnv(deployment({ kubernetesKeepAlive: false })).PREFECT__CLOUD__AGENT__KUBERNETES_KEEP_ALIVE).toBe('false');
  });
  test('tenantId', () => {
    const tenantId = '11111111-2222-3333-4444-555555555555';
    const server = PrefectApi.server({ url: 'http://prefect-apollo:4200', tenantId });
    expect(literalEnv(deployment({ api: server }))).toMatchObject({
      PREFECT__BACKEND: 'server',
      PREFECT__CLOUD__API: 'http://prefect-apollo:4200',
      PREFECT__CLOUD__TENANT_ID: tenantId,
    });
  });
});

describe('API key', () => {
  test('is a file from the Secret', () => {
    expect(podSpec().volumes).toContainEqual({
      name: 'api-key',
      secret: { secretName: 'prefect-api-key', items: [{ key: 'key', path: 'key' }] },
    });
  });
  test('is not mounted for a server without one', () => {
    const spec = podSpec({ api: PrefectApi.server({ url: 'http://prefect:4200' }) });
    expect(JSON.stringify(spec)).not.toContain('api-key');
  });
});

describe('accounts', () => {
  test('an existing account brings no RBAC', () => {
    const manifests = agent({ serviceAccountName: 'team' });
    expect(manifests.map(({ kind }) => kind)).toEqual(['ConfigMap', 'ConfigMap', 'NetworkPolicy', 'Deployment']);
    expect(only('Deployment', manifests).spec.template.spec.serviceAccountName).toBe('team');
  });
  test('the Role is in the namespace of the flows', () => {
    expect(only('Role', agent({ flowNamespace: 'flows' })).metadata.namespace).toBe('flows');
  });
  test('an agent that deletes no Jobs may delete none', () => {
    expect(only('Role', agent({ deleteFinishedJobs: false })).rules[0].verbs).toEqual(['create', 'list']);
  });
});

describe('Job template', () => {
  test('is mounted, and given to the agent', () => {
    const found = only(
      'Deployment',
      synth((chart) => new PrefectAgent(chart, 'Agent', { api, jobTemplate: new FlowJobTemplate(chart, 'Jobs') })),
    );
    expect(container(found).args).toContain('--job-template=/etc/prefect/job-template/job.yaml');
    expect(found.spec.template.spec.volumes).toContainEqual({ name: 'job-template', configMap: { name: 'prefect-job-template' } });
  });
  test('one is made for an agent without', () => {
    const names = agent({ resourceName: 'second' }).map(({ metadata }) => metadata.name);
    expect(names).toContain('second-job-template');
  });
  test('a change of it does not restart the agent', () => {
    const template = (image: string) =>
      only(
        'Deployment',
        synth((chart) => new PrefectAgent(chart, 'Agent', { api, jobTemplate: new FlowJobTemplate(chart, 'Jobs', { image }) })),
      );
    expect(template('flows:1')).toEqual(template('flows:2'));
  });
  test('the key that Jobs refer to is that of the API', () => {
    expect(container(deployment()).args).toContain('--api-key-secret=prefect-api-key/key');
  });
});

// What Prefect makes of the template is compared with Prefect itself in test/oracle; here is how it is asked for.
describe('effectiveJob', () => {
  const effective = (props: Partial<PrefectAgentProps>, run?: FlowRun): Manifest =>
    new PrefectAgent(newChart('prefect'), 'Agent', { api, ...props }).effectiveJob(run);

  test('of a plain run', () => expect(effective({ labels: ['kube'] })).toMatchSnapshot('Job'));
  test('does not change the template', () => {
    const made = new PrefectAgent(newChart('prefect'), 'Agent', { api });
    expect(made.effectiveJob({ runConfig: { env: { A: '1' }, image: 'a:1' } })).not.toEqual(made.effectiveJob());
    expect(made.effectiveJob()).toEqual(made.effectiveJob());
  });
  test('the version of Prefect is that of the image', () => {
    const name = (image: string) =>
      effective({ image }, { runConfig: { jobTemplate: { metadata: { name: 'mine' }, spec: { template: { spec: {} } } } } }).metadata.name;
    expect(name('prefecthq/prefect:1.2.4-python3.9')).toBe('prefect-job-00000000');
    expect(name('registry.example/prefecthq/prefect:1.3.0')).toBe('mine-00000000');
  });
});

describe('debug', () => {
  const withDebug = () => synth((chart) => new PrefectAgent(chart, 'Agent', { api, debug: new DebugConfig(chart, 'Debug') }));

  test('the file is mounted where Prefect is told to look', () => {
    const found = only('Deployment', withDebug());
    expect(literalEnv(found).PREFECT__USER_CONFIG_PATH).toBe('/etc/prefect/config/config.toml');
    expect(container(found).volumeMounts).toContainEqual({ name: 'config', mountPath: '/etc/prefect/config', readOnly: true });
    expect(found.spec.template.spec.volumes).toContainEqual({ name: 'config', configMap: { name: 'config-toml' } });
  });
  test('a change restarts the agent', () => {
    const annotations = only('Deployment', withDebug()).spec.template.metadata.annotations;
    expect(annotations).toEqual({ 'checksum/config-toml': expect.stringMatching(/^[0-9a-f]{64}$/) });
  });
});

describe('what a cluster asks of a pod', () => {
  test('podLabels', () => expect(deployment({ podLabels: { team: 'a' } }).spec.template.metadata.labels).toMatchObject({ team: 'a' }));
  test('podAnnotations', () => {
    expect(deployment({ podAnnotations: { 'a/b': 'c d' } }).spec.template.metadata.annotations).toEqual({ 'a/b': 'c d' });
  });
  test('labels of the chart reach the pods', () => {
    const chart = new Chart(newChart(), 'labelled', { namespace: 'prefect', labels: { stage: 'test' } });
    new PrefectAgent(chart, 'Agent', { api });
    expect(only('Deployment', Testing.synth(chart)).spec.template.metadata.labels.stage).toBe('test');
  });
  test('nodeSelector', () => expect(podSpec({ nodeSelector: { pool: 'x' } }).nodeSelector).toEqual({ pool: 'x' }));
  test('tolerations of a value', () => {
    expect(podSpec({ tolerations: [{ key: 'a', value: 'b' }] }).tolerations).toEqual([{ key: 'a', operator: 'Equal', value: 'b' }]);
  });
  test('tolerations of a key', () => {
    expect(podSpec({ tolerations: [{ key: 'a', effect: TaintEffect.NO_SCHEDULE }] }).tolerations).toEqual([
      { key: 'a', operator: 'Exists', effect: 'NoSchedule' },
    ]);
  });
  test('affinity is verbatim', () => {
    const affinity = { nodeAffinity: { newerThanThisLibrary: [{ weight: 1 }] } };
    expect(podSpec({ affinity }).affinity).toEqual(affinity);
  });
  test('podSpec loses nothing', () => {
    const hatch = { hostUsers: false, resourceClaims: [{ name: 'x', newField: { a: [] } }] };
    expect(podSpec({ podSpec: hatch })).toMatchObject(hatch);
  });
  test('priorityClassName', () => expect(podSpec({ priorityClassName: 'high' }).priorityClassName).toBe('high'));
  test('imagePullSecrets', () =>
    expect(podSpec({ imagePullSecrets: ['a', 'b'] }).imagePullSecrets).toEqual([{ name: 'a' }, { name: 'b' }]));
  test('env', () => {
    const found = container(deployment({ env: { SITE: EnvValue.fromField('spec.nodeName') } })).env.at(-1);
    expect(found).toEqual({ name: 'SITE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } });
  });
  test('resources replace the default', () => {
    expect(container(deployment({ resources: { cpuRequest: Cpu.millis(5) } })).resources).toEqual({ requests: { cpu: '5m' } });
  });
  test('AppArmor profiles of the containers', () => {
    const prefix = 'container.apparmor.security.beta.kubernetes.io/';
    const podAnnotations = { [`${prefix}agent`]: 'runtime/default', [`${prefix}own`]: 'localhost/own' };
    const found = deployment({ podAnnotations, podSpec: { initContainers: [{ name: 'own' }] } });
    expect(found.spec.template.metadata.annotations).toEqual(podAnnotations);
  });
  test('names that every object of JavaScript has are like any other', () => {
    const found = deployment({
      env: { constructor: EnvValue.of('a') },
      volumes: { constructor: Volume.emptyDir({ mountPath: '/a' }) },
    });
    expect(container(found).env.at(-1)).toEqual({ name: 'constructor', value: 'a' });
  });
  test.each(['192.0.2.7/32', '0.0.0.0/0', '255.255.255.254/31', '::/0', '::1/128', '2001:db8::/32', 'fe80::/10', '1:0:2:3:4:5:6:7/128'])(
    'egress to %s',
    (cidr) => {
      expect(only('NetworkPolicy', agent({ egress: [{ cidr }] })).spec.egress[1]).toEqual({ to: [{ ipBlock: { cidr } }] });
    },
  );
  test('proxy, around the Kubernetes API', () => {
    expect(literalEnv(deployment({ proxy: { url: 'http://proxy:3128', noProxy: ['.svc'] } }))).toMatchObject({
      HTTPS_PROXY: 'http://proxy:3128',
      https_proxy: 'http://proxy:3128',
      NO_PROXY: '$(KUBERNETES_SERVICE_HOST),.svc',
    });
  });
  test('certificateAuthorities', () => {
    const found = deployment({ certificateAuthorities: ConfigMapKeyRef.of('ca', 'pem') });
    expect(literalEnv(found).REQUESTS_CA_BUNDLE).toBe('/etc/prefect/ca/ca.crt');
    expect(found.spec.template.spec.volumes).toContainEqual({
      name: 'ca',
      configMap: { name: 'ca', items: [{ key: 'pem', path: 'ca.crt' }] },
    });
  });
  test('egress is DNS and what is listed', () => {
    expect(only('NetworkPolicy', agent({ egress: [{ cidr: '10.0.0.0/8', ports: [443] }] })).spec).toMatchObject({
      policyTypes: ['Ingress', 'Egress'],
      egress: [
        {
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
        { to: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ protocol: 'TCP', port: 443 }] },
      ],
    });
  });
  test('a JSON patch of the user loses nothing', () => {
    const chart = newChart('prefect');
    const made = new PrefectAgent(chart, 'Agent', { api });
    made.deployment.addJsonPatch(JsonPatch.add('/spec/newerThanThisLibrary', { memory: '1Gi' }));
    expect(only('Deployment', Testing.synth(chart)).spec.newerThanThisLibrary).toEqual({ memory: '1Gi' });
  });
});

describe('a second agent', () => {
  test('under another resourceName shares nothing with the first', () => {
    const names = (resourceName?: string) => agent({ resourceName }).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names('second').filter((name) => names().includes(name))).toEqual([]);
  });
  test('selects its own pods', () => expect(deployment({ resourceName: 'second' }).spec.selector.matchLabels).toEqual({ app: 'second' }));
  test('may have the same name in another namespace', () => {
    const app = new App();
    for (const namespace of ['one', 'two']) new PrefectAgent(new Chart(app, namespace, { namespace }), 'Agent', { api });
    expect(app.charts.map((chart) => only('Deployment', Testing.synth(chart)).metadata)).toMatchObject([
      { name: 'prefect-agent', namespace: 'one' },
      { name: 'prefect-agent', namespace: 'two' },
    ]);
  });
});

describe('refuses', () => {
  const cases: [string, Partial<PrefectAgentProps>, string][] = [
    ['a blank label', { labels: ['kube', ' '] }, 'labels[1] is " ": it must not be blank'],
    ['a label with white space around it', { labels: ['kube '] }, 'labels[0] is "kube ": it must not be blank'],
    ['a label given twice', { labels: ['kube', 'kube'] }, 'labels[1] is "kube": it must not be given twice; leave one of them out'],
    ['a name with control characters', { name: 'a\nb' }, 'name is "a\\nb": it must not be blank'],
    ['an agentConfigId that is no UUID', { agentConfigId: '1234' }, 'agentConfigId is "1234": it must be a UUID'],
    [
      'an image without a tag',
      { image: 'prefecthq/prefect' },
      'image is "prefecthq/prefect": it must be an image with a tag other than latest',
    ],
    ['the image latest', { image: 'prefecthq/prefect:latest' }, 'image is "prefecthq/prefect:latest": it must be an image with a tag'],
    ['a moving tag', { image: 'prefecthq/prefect:latest-python3.9' }, 'must be an image with a tag other than latest'],
    ['an image of Prefect 3', { image: 'prefecthq/prefect:3.4.0' }, 'it must be an image of Prefect 1'],
    ['a core image', { image: 'prefecthq/prefect:core-1.4.1' }, 'it must be a release of Prefect 1'],
    [
      'an image that is none',
      { image: 'Prefect:1' },
      'image is "Prefect:1": it must not have capital letters in its name: registries refuse them; write prefect:1',
    ],
    ['a version of Prefect that is none', { prefectVersion: '2' }, 'prefectVersion is "2": it must be a release of Prefect 1'],
    ['a resourceName that Kubernetes refuses', { resourceName: 'My_Agent' }, 'resourceName is "My_Agent": it must be a DNS label'],
    ['a resourceName longer than a label', { resourceName: 'a'.repeat(64) }, 'it must be a DNS label (RFC 1123): at most 63'],
    ['a flowNamespace that Kubernetes refuses', { flowNamespace: 'a.b' }, 'flowNamespace is "a.b": it must be a DNS label'],
    ['an account that Kubernetes refuses', { serviceAccountName: '-' }, 'serviceAccountName is "-": it must be a DNS subdomain'],
    [
      'a requestTimeout beyond the liveness window',
      { requestTimeout: Duration.minutes(1) },
      'requestTimeout is 1 minute: it must be between 1 and 30 seconds',
    ],
    ['a requestTimeout of nothing', { requestTimeout: Duration.seconds(0) }, 'requestTimeout is 0 seconds'],
    ['a logFormat without an attribute', { logFormat: 'hello' }, 'logFormat is "hello": it must be a %-style format'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of Prefect's configuration
    ['a logFormat that Prefect interpolates', { logFormat: '%(message)s ${debug}' }, 'and without "${"'],
    [
      'an API key in env',
      { env: { PREFECT__CLOUD__API_KEY: EnvValue.of('s3cret') } },
      'env.PREFECT__CLOUD__API_KEY must not be set in env',
    ],
    [
      'a variable that the construct sets',
      { env: { HOME: EnvValue.of('/root') } },
      'env.HOME must not be set in env: the construct sets it',
    ],
    ['a setting that has a prop', { env: { PREFECT__cloud__agent__labels: EnvValue.of('[]') } }, 'use the prop labels'],
    [
      'a setting that Prefect does not read',
      { env: { JOB_MEM_LIMIT: EnvValue.of('1Gi') } },
      'Prefect 1 does not read it: use memory_limit of KubernetesRun',
    ],
    ['a configuration key that Prefect refuses', { env: { PREFECT__TEAM__KEYS: EnvValue.of('1') } }, 'must not have the part "keys"'],
    ['a variable that Kubernetes refuses', { env: { '1A': EnvValue.of('') } }, 'env is "1A": it must have a name of letters'],
    ['a flow variable that the agent overwrites', { flowEnvVars: { PREFECT__BACKEND: 'server' } }, 'the agent overwrites it in every Job'],
    ['the level of flows beside DebugConfig', { flowEnvVars: { PREFECT__LOGGING__LEVEL: 'DEBUG' } }, 'use flowLevel of DebugConfig'],
    ['a flow variable with NUL', { flowEnvVars: { A: 'a\0' } }, 'flowEnvVars.A must not have NUL'],
    ['a flow variable that Kubernetes refuses', { flowEnvVars: { 'A B': '' } }, 'flowEnvVars is "A B": it must have a name'],
    [
      'a typed field in podSpec',
      { podSpec: { tolerations: [] } },
      'podSpec.tolerations must not be set in podSpec; use the prop tolerations',
    ],
    ['the pod’s security in podSpec', { podSpec: { securityContext: {} } }, 'it is fixed by Pod Security'],
    [
      'the selector in podLabels',
      { podLabels: { app: 'x' } },
      'podLabels is "app": it must not be one of the names that the construct sets',
    ],
    ['a pod label that Kubernetes refuses', { podLabels: { a: 'b c' } }, 'podLabels["a"] is "b c": it must be empty or at most 63'],
    ['a label key with two prefixes', { podLabels: { 'a/b/c': '' } }, 'podLabels is "a/b/c": it must be a qualified name'],
    [
      'an annotation key that Kubernetes refuses',
      { podAnnotations: { 'a b': '' } },
      'podAnnotations is "a b": it must be a qualified name',
    ],
    [
      'annotations too large',
      { podAnnotations: { a: 'x'.repeat(262_144) } },
      'podAnnotations is "262145 bytes": it must be at most 262144',
    ],
    [
      'annotations too large with those of the construct',
      { podAnnotations: { a: 'x'.repeat(262_143) }, debug: new DebugConfig(newChart('prefect'), 'Debug') },
      'podAnnotations is "262228 bytes"',
    ],
    [
      'an annotation that Kubernetes no longer reads',
      { podAnnotations: { 'scheduler.alpha.kubernetes.io/tolerations': '[]' } },
      'podAnnotations["scheduler.alpha.kubernetes.io/tolerations"] must not be set: Kubernetes no longer reads it; use the prop tolerations',
    ],
    [
      'a deletion cost that is no number',
      { podAnnotations: { 'controller.kubernetes.io/pod-deletion-cost': '+1' } },
      'podAnnotations["controller.kubernetes.io/pod-deletion-cost"] is "+1": it must be a whole number from -2147483648 to 2147483647',
    ],
    [
      'an AppArmor profile of no container',
      { podAnnotations: { 'container.apparmor.security.beta.kubernetes.io/flow': 'runtime/default' } },
      'must name a container of the pod: agent; write for example container.apparmor.security.beta.kubernetes.io/agent',
    ],
    [
      'an AppArmor profile that Pod Security refuses',
      { podAnnotations: { 'container.apparmor.security.beta.kubernetes.io/agent': 'unconfined' } },
      'is "unconfined": it must be runtime/default or localhost/PROFILE',
    ],
    ['a pull secret given twice', { imagePullSecrets: ['a', 'a'] }, 'imagePullSecrets[1] is "a": it must not be given twice'],
    [
      'tolerationSeconds of more than 32 bits',
      { tolerations: [{ effect: TaintEffect.NO_EXECUTE, tolerationSeconds: Duration.hours(1e16) }] },
      'tolerations[0].tolerationSeconds is 36000000000000000000 seconds: it must be at most 2147483647 seconds',
    ],
    [
      'a part of a byte',
      { resources: { memoryLimit: Size.kibibytes(1.3) } },
      'resources.memoryLimit is 1.3Ki: it must be a whole number of bytes below 8Pi',
    ],
    [
      'more disk than Kubernetes counts in bytes',
      { resources: { ephemeralStorageLimit: Size.tebibytes(2 ** 20) } },
      'resources.ephemeralStorageLimit is 1024Pi',
    ],
    [
      'a toleration of a value without a key',
      { tolerations: [{ value: 'x' }] },
      'tolerations[0].value is "x": it must not be set without a key',
    ],
    [
      'tolerationSeconds without NoExecute',
      { tolerations: [{ tolerationSeconds: Duration.seconds(5) }] },
      'tolerations[0].tolerationSeconds is 5',
    ],
    [
      'a request above the limit',
      { resources: { cpuRequest: Cpu.units(2), cpuLimit: Cpu.units(1) } },
      'resources.cpuRequest is 2 CPU: it must be at most the limit, 1 CPU',
    ],
    [
      'more memory than the limit',
      { resources: { memoryRequest: Size.gibibytes(2), memoryLimit: Size.mebibytes(1) } },
      'resources.memoryRequest is 2Gi: it must be at most the limit, 1Mi; raise the limit to 2Gi',
    ],
    [
      'a volume of a name that is taken',
      { volumes: { token: Volume.emptyDir({ mountPath: '/x' }) } },
      'volumes is "token": it must not be one of scratch, token, launcher, job-template, api-key',
    ],
    [
      'a volume over the key',
      { volumes: { x: Volume.emptyDir({ mountPath: '/etc/prefect' }) } },
      'volumes.x.mountPath is "/etc/prefect": it must not hide, or be inside the read-only mount at, /etc/prefect/launcher',
    ],
    [
      'two volumes at one path',
      { volumes: { a: Volume.emptyDir({ mountPath: '/x' }), b: Volume.emptyDir({ mountPath: '/x' }) } },
      'volumes.b.mountPath is "/x"',
    ],
    ['a proxy with a password', { proxy: { url: 'http://me:secret@proxy:3128' } }, 'proxy.url must not have a user name or password'],
    ['several hosts in one noProxy', { proxy: { url: 'http://proxy', noProxy: ['a,b'] } }, 'proxy.noProxy[0] is "a,b"'],
    [
      'an egress that is no network',
      { egress: [{ cidr: '10.0.0.0' }] },
      'egress[0].cidr is "10.0.0.0": it must be a network in CIDR notation',
    ],
    ['an egress with too long a prefix', { egress: [{ cidr: '10.0.0.0/33' }] }, 'egress[0].cidr is "10.0.0.0/33"'],
    ['an egress with a zone', { egress: [{ cidr: 'fe80::%eth0/10' }] }, 'egress[0].cidr is "fe80::%eth0/10": it must be a network'],
    ['an egress of IPv4 within IPv6', { egress: [{ cidr: '::ffff:10.0.0.0/104' }] }, 'it must be a network in CIDR notation'],
    [
      'an egress with bits after its prefix',
      { egress: [{ cidr: '10.1.2.3/12' }] },
      'egress[0].cidr is "10.1.2.3/12": it must be a network without host bits, and IPv6 in its canonical form (RFC 5952); write 10.0.0.0/12, or 10.1.2.3/32 for the one address',
    ],
    ['an IPv6 egress with such bits', { egress: [{ cidr: '2001:DB8::FF:1/119' }] }, 'write 2001:db8::ff:0/119, or 2001:db8::ff:1/128'],
    ['an IPv6 egress written at length', { egress: [{ cidr: '2001:db8:0::/32' }] }, 'write 2001:db8::/32, or 2001:db8::/128'],
    ['a port that is none', { egress: [{ cidr: '::/0', ports: [0] }] }, 'egress[0].ports is 0: it must be whole numbers from 1 to 65535'],
  ];
  test.each(cases)('%s', (_name, props, message) => expect(() => agent(props)).toThrow(message));

  test('and names the construct', () => expect(() => agent({ labels: [''] })).toThrow(/^chart\/Agent: labels\[0\] is ""/));
  test('and never repeats what may be a secret', () => {
    expect(() => agent({ env: { PREFECT__CLOUD__API_KEY: EnvValue.of('s3cret') } })).not.toThrow('s3cret');
    expect(() => agent({ proxy: { url: 'http://me:s3cret@proxy:3128' } })).not.toThrow('s3cret');
  });
  test('a chart without a namespace', () => {
    expect(() => new PrefectAgent(newChart(), 'Agent', { api })).toThrow(
      "chart/Agent: the namespace of its chart must be set; write new Chart(app, id, { namespace: 'prefect' })",
    );
  });
  test('two agents of one name in one namespace', () => {
    expect(() =>
      synth((chart) => {
        new PrefectAgent(chart, 'One', { api });
        new PrefectAgent(chart, 'Two', { api });
      }),
    ).toThrow('chart/Two: resourceName is "prefect-agent": it must be unique: chart/One already creates the ServiceAccount');
  });
  test('a DebugConfig of another namespace', () => {
    const debug = new DebugConfig(newChart('elsewhere'), 'Debug');
    expect(() => agent({ debug })).toThrow("debug is of namespace elsewhere: it must be in the agent's namespace, prefect");
  });
  test('a Job template for other flows', () => {
    const jobTemplate = new FlowJobTemplate(newChart('prefect'), 'Jobs', { flowNamespace: 'flows' });
    expect(() => agent({ jobTemplate })).toThrow(
      "jobTemplate is a template in namespace prefect for flows in flows: it must be in the agent's namespace",
    );
  });
  test('a flow variable that the Job template has too', () => {
    const jobTemplate = new FlowJobTemplate(newChart('prefect'), 'Jobs', { env: { TEAM: EnvValue.of('a') } });
    expect(() => agent({ jobTemplate, flowEnvVars: { TEAM: 'b' } })).toThrow('flowEnvVars.TEAM must not be in the Job template too');
  });
  test('before it adds any object', () => {
    const chart = newChart('prefect');
    expect(() => new PrefectAgent(chart, 'Agent', { api, egress: [{ cidr: 'x' }] })).toThrow();
    expect(Testing.synth(chart)).toEqual([]);
  });
});

test('the policy of an agent or a sweeper is not for pods of flow runs that have its label from their chart', () => {
  const chart = new Chart(new App(), 'chart', { namespace: 'prefect', labels: { app: 'prefect-agent' } });
  const agent = new PrefectAgent(chart, 'Agent', { api });
  const { labels }: Record<string, string> = (agent.effectiveJob() as Manifest).spec.template.metadata;
  expect(labels).toMatchObject({ app: 'prefect-agent' });
  expect(agent.networkPolicy.toJson().spec.podSelector.matchExpressions).toEqual([
    { key: 'prefect.io/flow_run_id', operator: 'DoesNotExist' },
  ]);
  expect(Object.keys(labels)).toContain('prefect.io/flow_run_id');
  expect(agent.deployment.toJson().spec.template.metadata.labels).not.toHaveProperty('prefect.io/flow_run_id');
});
