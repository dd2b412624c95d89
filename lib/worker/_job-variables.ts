import type { Ajv, ErrorObject } from 'ajv';
import type { Duration } from 'cdk8s';
import type { FlowJob } from '../flow-job/_job';
import type { FlowJobOptions } from '../flow-job/flow-job-options';
import { refuse, type Where } from '../kubernetes/_refuse';
import { placeholdersOf } from './_placeholders';
import type { JobVariable } from './job-variable';

/** A JSON object with any content. */
export type Json = { [key: string]: unknown };

/** Props with the defaults of Prefect's own job variables. */
type Props = FlowJobOptions & { readonly ttlAfterFinished?: Duration };

/** Prefect's own job variables. Each has its own place in the Job. */
interface StandardVariable {
  readonly kinds: JobVariable['_kind'][];
  /** The rules for every value. */
  readonly schema: Json;
  /** The place in the Job, or the key of the job configuration. */
  readonly place: (string | number)[] | 'labels' | 'annotations' | 'name' | 'env';
  /** The prop with its default, and the default. */
  readonly prop?: string;
  readonly given?: (props: Props) => unknown;
}

const TEXT: JobVariable['_kind'][] = ['string', 'choice'];
const QUANTITY = '^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$';
const CONTAINER = ['spec', 'template', 'spec', 'containers', 0];

function quantity(field: 'requests' | 'limits', key: 'cpu' | 'memory', prop: 'cpuRequest' | 'cpuLimit' | 'memoryRequest' | 'memoryLimit') {
  return {
    kinds: TEXT,
    schema: { pattern: QUANTITY },
    place: [...CONTAINER, 'resources', field, key],
    prop: `resources.${prop}`,
    given: ({ resources }: Props) => resources?.[prop],
  };
}

const STANDARD: Record<string, StandardVariable> = {
  image: {
    kinds: TEXT,
    schema: { pattern: '^[^\\s{}]+$' },
    place: [...CONTAINER, 'image'],
    prop: 'image',
    given: ({ image }) => image,
  },
  image_pull_policy: {
    kinds: TEXT,
    schema: { enum: ['IfNotPresent', 'Always', 'Never'] },
    place: [...CONTAINER, 'imagePullPolicy'],
    prop: 'imagePullPolicy',
    given: ({ imagePullPolicy }) => imagePullPolicy,
  },
  cpu_request: quantity('requests', 'cpu', 'cpuRequest'),
  cpu_limit: quantity('limits', 'cpu', 'cpuLimit'),
  memory_request: quantity('requests', 'memory', 'memoryRequest'),
  memory_limit: quantity('limits', 'memory', 'memoryLimit'),
  service_account_name: {
    kinds: TEXT,
    schema: { pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$', maxLength: 253 },
    place: ['spec', 'template', 'spec', 'serviceAccountName'],
    prop: 'serviceAccountName',
    given: ({ serviceAccountName }) => serviceAccountName,
  },
  finished_job_ttl: {
    kinds: ['integer'],
    schema: { minimum: 600, maximum: 2 ** 31 - 1 },
    place: ['spec', 'ttlSecondsAfterFinished'],
    prop: 'ttlAfterFinished',
    given: ({ ttlAfterFinished }) => ttlAfterFinished,
  },
  name: { kinds: TEXT, schema: { pattern: '^[^{}]*$' }, place: 'name' },
  env: { kinds: ['map'], schema: { additionalProperties: { anyOf: [{ type: 'string' }, { type: 'null' }] } }, place: 'env' },
  labels: { kinds: ['map'], schema: { additionalProperties: { type: 'string' } }, place: 'labels' },
  annotations: { kinds: ['map'], schema: { additionalProperties: { type: 'string' } }, place: 'annotations' },
};

/** Variables of Prefect's default template that no deployment may set here, with the reason. */
const LOCKED: Record<string, string> = {
  namespace: "one template has one namespace, where the worker's permissions are: use the prop flowNamespace",
  command: 'a run that is started otherwise is neither cancelled nor run again: leave it out',
  backoff_limit: 'Kubernetes and Prefect would both run it again: use the prop onEviction',
  cluster_config: 'credentials of another cluster would be in the template: use a worker in that cluster',
  job_watch_timeout_seconds: 'no worker reads it since prefect-kubernetes 0.7: leave it out',
  pod_watch_timeout_seconds: 'no worker reads it since prefect-kubernetes 0.7: leave it out',
  stream_output: 'no worker reads it since prefect-kubernetes 0.7: leave it out',
};

/** Keys that no deployment may set in its maps: whole keys, or prefixes. */
export interface LockedKeys {
  readonly env: string[];
  readonly labels: string[];
  readonly annotations: string[];
}

/** Whether a variable has its own place, so that it needs no placeholder. */
export function isStandard(name: string): boolean {
  return Object.hasOwn(STANDARD, name);
}

/** Throws for names that Prefect would not find or would understand differently. */
export function checkJobVariables(where: Where, variables: Record<string, JobVariable>, used: Set<string>): void {
  for (const [name, variable] of Object.entries(variables)) {
    const prop = `jobVariables.${name}`;
    if (!/^[A-Za-z_][-\w]*$/.test(name) || name === 'required') {
      refuse(where, {
        prop,
        allowed: 'must have a name of letters, digits, "_" and "-" that begins with a letter, other than "required", which the API drops',
        remedy: 'rename it',
      });
    }
    if (Object.hasOwn(LOCKED, name)) {
      const [reason, remedy = ''] = (LOCKED[name] ?? '').split(': ');
      refuse(where, { prop, allowed: `must not be declared: ${reason}`, remedy });
    }
    const standard = standardOf(name);
    const kinds = standard?.kinds ?? ['string', 'choice', 'integer', 'boolean'];
    if (!kinds.includes(variable._kind)) {
      refuse(where, {
        prop,
        value: `a ${variable._kind}`,
        allowed: `must be a ${kinds.join(' or a ')}`,
        remedy: `write JobVariable.${kinds[0]}(...)`,
      });
    }
    if (standard === undefined && !used.has(name)) {
      refuse(where, {
        prop,
        allowed: `must be named by a placeholder, or be one of ${Object.keys(STANDARD).join(', ')}: it would change nothing`,
        remedy: `write {{ ${name} }} at the place of its value, or leave it out`,
      });
    }
    for (const [i, value] of ((variable._schema.enum ?? []) as string[]).entries()) {
      const error = standard && firstError(standard.schema, value);
      if (error) refuse(where, { prop: `${prop}.values[${i}]`, value, allowed: spell(error), remedy: 'choose another value' });
    }
    const { minimum } = variable._schema;
    if (standard?.schema.minimum !== undefined && minimum !== undefined && Number(minimum) < Number(standard.schema.minimum)) {
      refuse(where, {
        prop: `${prop}.minimum`,
        value: minimum,
        allowed: `must be at least ${standard.schema.minimum}`,
        remedy: 'raise it',
      });
    }
    if (placeholdersOf(String(variable._default ?? '')).length > 0) {
      refuse(where, {
        prop: `${prop}.default`,
        value: variable._default,
        allowed: 'must not have a placeholder: Prefect writes its value in clear into every Job',
        remedy: 'use EnvValue.fromSecret or EnvValue.fromConfigMap in env',
      });
    }
  }
}

/** Replaces the defaults of Prefect's own variables in the Job and the job configuration by placeholders, and returns the defaults. */
export function placeStandardVariables(
  where: Where,
  props: Props,
  variables: Record<string, JobVariable>,
  job: FlowJob,
): { readonly configuration: Json; readonly defaults: Map<string, unknown> } {
  const configuration: Json = {};
  const defaults = new Map<string, unknown>();
  for (const [name, variable] of Object.entries(variables)) {
    const standard = standardOf(name);
    let value: unknown = variable._default;
    if (standard && Array.isArray(standard.place)) {
      const said = standard.given?.(props) !== undefined;
      if (said && value !== undefined) {
        refuse(where, {
          prop: `jobVariables.${name}.default`,
          value,
          allowed: `must not be given together with the prop ${standard.prop}, which is the default`,
          remedy: 'leave one of them out',
        });
      }
      if (said && variable._required) {
        refuse(where, {
          prop: `jobVariables.${name}`,
          value: 'required',
          allowed: `must not be declared together with the prop ${standard.prop}, which is the default`,
          remedy: 'leave one of them out',
        });
      }
      const replaced = replace(job as unknown as Json, standard.place, `{{ ${name} }}`);
      if (!variable._required) value ??= replaced;
    } else if (standard && standard.place !== 'env') {
      configuration[standard.place as string] = `{{ ${name} }}`;
    }
    if (value !== undefined) defaults.set(name, value);
  }
  return { configuration, defaults };
}

/** The JSON schema of the variables: an allow-list. */
export function renderSchema(
  where: Where,
  variables: Record<string, JobVariable>,
  defaults: Map<string, unknown>,
  locked: LockedKeys,
): Json & { properties: Json } {
  const properties: Json = {};
  for (const [name, variable] of Object.entries(variables)) {
    const standard = standardOf(name);
    const schema: Json = {
      ...(variable._description !== undefined && { description: variable._description }),
      ...standard?.schema,
      ...variable._schema,
      // The API also accepts null for an optional variable, and the worker writes the null into the Job.
      ...(!variable._required && { not: { type: 'null' } }),
      ...(variable._kind === 'map' && { propertyNames: { pattern: otherThan(locked[name as keyof LockedKeys]) } }),
    };
    const value = defaults.get(name);
    if (value !== undefined) {
      const error = firstError(schema, value);
      const prop = variable._default === undefined ? (standard?.prop ?? name) : `jobVariables.${name}.default`;
      if (error) refuse(where, { prop, value, allowed: `${spell(error)}, as jobVariables.${name} says`, remedy: 'change one of them' });
      schema.default = value;
    }
    properties[name] = schema;
  }
  const required = Object.keys(variables).filter((name) => variables[name]?._required);
  return { type: 'object', properties, ...(required.length > 0 && { required }), additionalProperties: false };
}

/** Throws for values that the API refuses when a flow run is created. The error never contains the value. */
export function checkValues(where: Where, schema: Json & { properties: Json }, values: Json): void {
  const error = firstError(schema, values);
  if (error === undefined) return;
  const [, name] = error.instancePath.split('/');
  const prop = name ?? error.params.additionalProperty ?? error.params.missingProperty;
  const declared = `must be one that the template declares: ${Object.keys(schema.properties).join(', ') || 'there are none'}`;
  const allowed = error.keyword === 'additionalProperties' && name === undefined ? declared : spell(error);
  refuse(where, { prop: `jobVariables.${prop}`, allowed, remedy: 'the API refuses such a deployment or flow run: change it' });
}

function standardOf(name: string): StandardVariable | undefined {
  return isStandard(name) ? STANDARD[name] : undefined;
}

let validator: Ajv | undefined;

function firstError(schema: Json, value: unknown): ErrorObject | undefined {
  const ajv = ajvOnce();
  const check = ajv.compile(schema);
  check(value);
  ajv.removeSchema(schema);
  return check.errors?.[0];
}

/** Loaded only here, so that importing the library stays fast. */
function ajvOnce(): Ajv {
  validator ??= new (require('ajv') as typeof import('ajv')).Ajv({ strict: false, verbose: true, ownProperties: true });
  return validator;
}

function spell({ keyword, message = '', params, instancePath, propertyName }: ErrorObject): string {
  if (keyword === 'enum') return `must be one of ${params.allowedValues.join(', ')}`;
  if (keyword === 'required') return 'must have a value';
  if (keyword === 'not') return 'must not be null';
  if (propertyName !== undefined) return `must not have the key "${propertyName}", which the template or Prefect sets`;
  const [, , key] = instancePath.split('/');
  return key === undefined ? message : `must have at "${key}" what ${message}`;
}

/** A pattern for all keys except these. A key that ends in "*" is a prefix. */
function otherThan(keys: string[]): string {
  const patterns = keys.map((key) => (key.endsWith('*') ? quote(key.slice(0, -1)) : `${quote(key)}$`));
  return `^(?!${patterns.join('|')})`;
}

function quote(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Sets a value in a tree, creates missing branches, and returns the previous value. */
function replace(tree: Json, path: (string | number)[], value: unknown): unknown {
  let branch = tree;
  for (const key of path.slice(0, -1)) {
    branch[key] ??= {};
    branch = branch[key] as Json;
  }
  const last = path.at(-1) as string;
  const before = branch[last];
  branch[last] = value;
  return before;
}
