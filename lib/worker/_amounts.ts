import { refuse, type Where } from '../kubernetes/_refuse';
import { quantityOf } from '../kubernetes/_stored';
import type { Json } from './_job-variables';
import type { Template } from './_worker-job';

/** A request or a limit of a template. */
interface Amount {
  readonly name: string;
  readonly isVariable: boolean;
  /** The amount of runs without a value. */
  readonly usual?: string;
  /** All values that a deployment can choose. Undefined if there are too many, or if it can leave the amount out. */
  readonly all?: readonly string[];
  /** The values of a choice. */
  readonly choices: readonly string[];
}

type Side = 'request' | 'limit';

/** Throws for a template in which a request certainly exceeds its limit. Kubernetes refuses such Jobs, and their runs crash. */
export function checkAmounts(where: Where, template: Template): void {
  for (const resource of ['cpu', 'memory']) {
    const [request, limit] = [amountOf(template, resource, 'request'), amountOf(template, resource, 'limit')];
    if (request.usual !== undefined && limit.usual !== undefined && exceeds(request.usual, limit.usual)) {
      complain(where, limit.isVariable ? [limit, limit.usual, request.usual] : [request, request.usual, limit.usual]);
    }
    for (const value of limit.choices) {
      if (request.all?.every((one) => exceeds(one, value))) complain(where, [limit, value, request.all.join(', ')]);
    }
    for (const value of request.choices) {
      if (limit.all?.every((one) => exceeds(value, one))) complain(where, [request, value, limit.all.join(', ')]);
    }
  }
}

/** Throws for a Job in which a request exceeds its limit. */
export function checkAmountsOf(where: Where, { requests = {}, limits = {} }: { requests?: Json; limits?: Json }, values: Json): void {
  for (const resource of ['cpu', 'memory']) {
    const [request, limit] = [requests[resource], limits[resource]].map((amount) => (amount === undefined ? undefined : String(amount)));
    if (request === undefined || limit === undefined || !exceeds(request, limit)) continue;
    const isLimit = Object.hasOwn(values, `${resource}_limit`);
    const amount = { name: `${resource}_${isLimit ? 'limit' : 'request'}` };
    complain(where, isLimit ? [amount, limit, request] : [amount, request, limit]);
  }
}

function amountOf({ variables, job_configuration: configuration }: Template, resource: string, side: Side): Amount {
  const name = `${resource}_${side}`;
  const schema = Object.hasOwn(variables.properties, name) ? (variables.properties[name] as Json) : undefined;
  if (schema === undefined) {
    const [container] = configuration.job_manifest.spec.template.spec.containers as { resources?: Record<string, Json> }[];
    const fixed = container?.resources?.[`${side}s`]?.[resource] as string | undefined;
    return { name, isVariable: false, usual: fixed, all: fixed === undefined ? undefined : [fixed], choices: [] };
  }
  const usual = schema.default as string | undefined;
  const choices = (schema.enum ?? []) as string[];
  const isThere = usual !== undefined || ((variables.required ?? []) as string[]).includes(name);
  return { name, isVariable: true, usual, all: isThere && choices.length > 0 ? choices : undefined, choices };
}

function exceeds(request: string, limit: string): boolean {
  const [one, other] = [request, limit].map((amount) => /^(\d+)n$/.exec(String(quantityOf(amount, true)))?.[1]);
  return one !== undefined && other !== undefined && BigInt(one) > BigInt(other);
}

function complain(where: Where, [{ name }, value, other]: [{ name: string }, string, string]): never {
  const bound = name.endsWith('_limit') ? 'at least the request' : 'at most the limit';
  refuse(where, {
    prop: `jobVariables.${name}`,
    value,
    allowed: `must be ${bound}, ${other}: Kubernetes would refuse the Job, and the run would crash`,
    remedy: 'change one of them',
  });
}
