import type { Parameter, Property, TypeReference } from '@jsii/spec';
import { App, Chart, Duration, Size } from 'cdk8s';
import * as library from '../../lib';
import { Cpu, PrefectAgent, PrefectApi, SecretKeyRef, Volume } from '../../lib';
import { classes, structs } from './assembly';
import { outcomes, type Props } from './defaults';

// What neither JavaScript nor a chart run by tsx sees: for every prop and argument of the assembly.

/** Something that takes a prop, in a chart. */
interface Taker {
  readonly path: string;
  readonly prop: Pick<Property, 'name' | 'type' | 'optional'>;
  readonly take: (props: Props, chart: Chart) => unknown;
}

const props: Taker[] = structs.flatMap(({ name: struct, properties = [] }) =>
  properties.map((prop) => ({
    path: `${struct}.${prop.name}`,
    prop,
    // Of a fleet, a prop alone has the others that it needs.
    take: ((struct === 'FleetProps' && outcomes[`${struct}.${prop.name}`]) || outcomes[struct]) as Taker['take'],
  })),
);

/** Arguments of methods, each given as a map by the names of all. */
const ARGUMENTS: Record<string, unknown> = {
  amount: 1,
  claimName: 'claim',
  configMapName: 'settings',
  fieldPath: 'status.hostIP',
  key: 'key',
  kind: 'Deployment',
  name: undefined,
  namespace: 'prefect',
  secretName: 'files',
  serviceAccountName: 'prefect-agent',
  value: 'text',
  values: ['text'],
};
const parametersOf = classes.flatMap(({ name: type, methods = [] }) =>
  methods
    .filter(({ protected: hidden }) => !hidden)
    .flatMap(({ name: method, static: isStatic, parameters = [] }) =>
      parameters.filter((parameter) => parameter.name !== 'scope').map((parameter) => ({ type, method, isStatic, parameters, parameter })),
    ),
);
const methods: Taker[] = parametersOf.map(({ type, method, isStatic, parameters, parameter }) => ({
  path: `${type}.${method}(${parameter.name})`,
  prop: parameter,
  take: (given, chart) => {
    const values = parameters.map(({ name }: Parameter) => (name in given ? given[name] : (ARGUMENTS[name] ?? valid(name))));
    const owner = isStatic ? (library as Props)[type] : instanceOf(type, chart);
    return owner[method](...values);
  },
}));

function valid(name: string): unknown {
  return {
    name: 'name',
    source: { csi: { driver: 'csi.example' } },
    options: { mountPath: '/files', url: 'http://prefect.example:4200' },
    ref: SecretKeyRef.of('secret', 'key'),
    current: library.Manifests.of(new Chart(new App(), 'chart')),
    old: library.Manifests.of(new Chart(new App(), 'chart')),
  }[name];
}

function instanceOf(type: string, chart: Chart): Props {
  if (type === 'BaseJobTemplate') {
    return new library.BaseJobTemplate(chart, 'Template', { api: library.Prefect3Api.server({ url: 'http://prefect.example:4200/api' }) });
  }
  const agent = new PrefectAgent(chart, 'Agent', { api: PrefectApi.server({ url: 'http://prefect.example:4200' }) });
  const manifests = library.Manifests.of(chart);
  return { Manifests: manifests, UpgradeReview: library.UpgradeReview.of(manifests, manifests), PrefectAgent: agent }[type];
}

const takers = [...props, ...methods];

test('every struct has a place where its props are taken, and there are many', () => {
  expect(props.filter(({ take }) => take === undefined).map(({ path }) => path)).toEqual([]);
  expect(takers.length).toBeGreaterThan(180);
});

/** The error that props end in. */
function refusal(take: Taker['take'], given: Props): Error | undefined {
  try {
    take(given, new Chart(new App(), 'chart', { namespace: 'prefect' }));
  } catch (error) {
    return error as Error;
  }
  return undefined;
}

/** `PATH: PROP ...; REMEDY`, not what JavaScript says. */
function expectOurs(error: Error | undefined, name: string): void {
  expect(error?.name).toBe('Error');
  expect(error?.message).toMatch(/^(chart\/\w+|Fleet|[A-Z]\w+)\b.*:/);
  expect(error?.message).toMatch(new RegExp(`\\b${name}\\b[^;]*; \\w`));
  expect(error?.message).not.toContain('undefined: ');
}

const ALL_VALUES: [kind: string, value: unknown][] = [
  ['string', 'text'],
  ['number', 42],
  ['NaN', Number.NaN],
  ['boolean', true],
  ['null', null],
  ['list', [[]]],
  ['object', { key: { key: 1 } }],
  ['function', () => 'text'],
  ['Map', new Map([['key', 'text']])],
  ['Date', new Date(0)],
  ['Duration', Duration.minutes(1)],
  ['Size', Size.gibibytes(1)],
  ['Cpu', Cpu.units(1)],
  ['SecretKeyRef', SecretKeyRef.of('secret', 'key')],
  ['ConfigMapKeyRef', library.ConfigMapKeyRef.of('settings', 'key')],
  ['EnvValue', library.EnvValue.of('text')],
  ['Volume', Volume.emptyDir({ mountPath: '/files' })],
  ['PrefectApi', PrefectApi.server({ url: 'http://prefect.example:4200' })],
];

const FEW = ['string', 'number', 'null', 'list', 'object', 'Duration', 'SecretKeyRef'];
const VALUES = process.env.FULL ? ALL_VALUES : ALL_VALUES.filter(([kind]) => FEW.includes(kind));

/** Kinds of values that may be right for a type. */
function kindsOf(type: TypeReference): string[] {
  if ('primitive' in type) return type.primitive === 'any' ? VALUES.map(([kind]) => kind) : [type.primitive];
  if ('collection' in type) {
    const { kind, elementtype } = type.collection;
    if (kind === 'array') return [];
    const isStruct = 'fqn' in elementtype && structs.some(({ fqn }) => fqn === elementtype.fqn);
    return isStruct || ('primitive' in elementtype && elementtype.primitive === 'any') ? ['object'] : [];
  }
  const name = 'fqn' in type ? (type.fqn.split('.').at(-1) ?? '') : '';
  return structs.some((struct) => struct.name === name) ? ['object'] : [name];
}

describe.each(takers)('$path', ({ path, prop, take }) => {
  const kinds = kindsOf(prop.type);
  test.each(VALUES.filter(([kind]) => !kinds.includes(kind)))('refuses a %s', (_, value) => {
    expectOurs(refusal(take, { [prop.name]: value }), prop.name);
  });
  // A row may leave the API to the defaults of its fleet.
  if (prop.optional && path !== 'FleetTeamProps.api') {
    test('may be undefined', () => expect(refusal(take, { [prop.name]: undefined })).toBeUndefined());
  } else {
    test('must not be undefined', () => expectOurs(refusal(take, { [prop.name]: undefined }), prop.name));
  }
});

/** A letter too many, one too few, two exchanged, another case, and as Python and a command line write it. */
function misspellings(name: string): string[] {
  const middle = Math.floor(name.length / 2);
  const swapped = name.slice(0, middle - 1) + name.charAt(middle) + name.charAt(middle - 1) + name.slice(middle + 1);
  return [`${name}x`, name.slice(0, -1), swapped, name.toLowerCase(), name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
}

describe.each(props)('$path', ({ prop, take }) => {
  const { name } = prop;
  // The other props of the same interface, which a misspelling may be as well.
  const wrong = misspellings(name).filter((word) => word !== name && !props.some((other) => other.prop.name === word));
  test.each(wrong)('is not taken for %s', (word) => {
    const error = refusal(take, { [name]: undefined, [word]: 'text' });
    if (name.length < 4) expect(error?.message ?? '').not.toContain(`${word} is not a prop`);
    else expect(error?.message).toMatch(new RegExp(`: (\\w+\\S*\\.)?${word} is not a prop, and would be ignored; did you mean \\w+\\?`));
  });
});

test.each(['app', 'owner', 'tag', 'stage', 'role', 'size', 'team', 'costCenter', 'chart'])('%s passes, in every interface', (word) => {
  const refused = structs.filter(({ name }) => refusal(outcomes[name] as Taker['take'], { [word]: 'ours' }));
  expect(refused.map(({ name }) => name)).toEqual([]);
});

// Values that may be secret are in no error: one that looks like a key nowhere, any other only where names and the like belong.
const MARKERS = { key: 'pcu_MARKER0123456789', text: 'M@RKER of\0 something' };

/** Props whose strings name things that everybody may read in the manifest, and are needed to find what is wrong. */
const SHOWN =
  /^(\w+\.(accountId|agentConfigId|certificateAuthorities|cidr|coreVersion|cpuLimit|cpuRequest|daskKubernetesVersion|default|deploymentName|effect|fieldPath|file|flowName|flowNamespace|flowRunId|folder|image|imagePullPolicy|imagePullSecrets|jobLabels|kind|labels|memoryLimit|memoryRequest|mountPath|name|namespace|namespaces|prefix|noProxy|nodeSelector|podLabels|prefectVersion|priorityClassName|resourceName|scraperNamespace|serviceAccountName|subPath|tenantId|value|volumeMounts|workerName|workPoolName|workQueues|workspaceId|commonLabels|logFormat)|(ConfigMapKeyRef|EnvFrom|EnvValue|Manifests|Volume)\.\w+\((fieldPath|kind|path|name|key|secretName|configMapName|claimName|namespace)\)|Toleration\.\w+)$/;

/** Every place of a prop where a string may be. */
function withMarker({ prop: { name, type } }: Taker, marker: string): Props[] {
  const values = [marker, [marker], { [marker]: 'a' }, { A: marker }, { nested: { A: marker } }, Object.assign(() => {}, { marker })];
  return 'primitive' in type && type.primitive === 'any' ? [] : values.map((value) => ({ [name]: value }));
}

test.each(takers.map((taker) => [taker.path, taker] as const))('a marker in %s is in no error', (path, taker) => {
  for (const given of withMarker(taker, MARKERS.key)) expect(refusal(taker.take, given)?.message ?? '').not.toContain('MARKER');
  if (SHOWN.test(path)) return;
  for (const given of withMarker(taker, MARKERS.text)) {
    // The names of variables, labels and volumes are no secrets: only values are.
    const [value] = Object.values(given);
    if (Object.hasOwn(Object(value), MARKERS.text)) continue;
    expect(refusal(taker.take, given)?.message ?? '').not.toContain('M@RKER');
  }
});
