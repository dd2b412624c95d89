import { checkFirst } from '../kubernetes/_checks';
import { checkArguments } from '../kubernetes/_guard';
import { refuse } from '../kubernetes/_refuse';

/** What is said of any job variable. */
export interface JobVariableOptions {
  /**
   * What it is for, as Prefect's UI shows it.
   *
   * @default - none
   */
  readonly description?: string;
  /**
   * Whether each flow run must have a value for it, be it from its deployment. Not together with a default.
   *
   * @default false
   */
  readonly required?: boolean;
}

/** What is said of a job variable that is text. */
export interface StringJobVariableOptions extends JobVariableOptions {
  /**
   * Value for flow runs that bring none.
   *
   * @default - for one that has a prop, what the prop says; else the field where it stands alone is left out, and in text it is empty
   */
  readonly default?: string;
  /**
   * Regular expression that must be found in it: anchor it with `^` and `$`.
   *
   * @default - for one that has a prop, what Kubernetes takes there; else any text
   */
  readonly pattern?: string;
}

/** What is said of a job variable that is one of several values. */
export interface ChoiceJobVariableOptions extends JobVariableOptions {
  /**
   * Value for flow runs that bring none.
   *
   * @default - for one that has a prop, what the prop says; else the field where it stands alone is left out, and in text it is empty
   */
  readonly default?: string;
}

/** What is said of a job variable that is a whole number. */
export interface IntegerJobVariableOptions extends JobVariableOptions {
  /**
   * Value for flow runs that bring none.
   *
   * @default - for one that has a prop, what the prop says; else the field where it stands alone is left out, and in text it is empty
   */
  readonly default?: number;
  /**
   * Smallest value.
   *
   * @default - any
   */
  readonly minimum?: number;
  /**
   * Largest value.
   *
   * @default - any
   */
  readonly maximum?: number;
}

/** What is said of a job variable that is true or false. */
export interface BooleanJobVariableOptions extends JobVariableOptions {
  /**
   * Value for flow runs that bring none.
   *
   * @default - the field where it stands alone is left out, and in text it is empty
   */
  readonly default?: boolean;
}

/** Kinds of job variables. */
type Kind = 'string' | 'choice' | 'integer' | 'boolean' | 'map';

/**
 * What deployments and flow runs may say of their Jobs, with a rule for it. Prefect's API refuses other values when a deployment or a flow
 * run is created.
 *
 * @example
 * new BaseJobTemplate(chart, 'Template', {
 *   api: Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api' }),
 *   jobVariables: {
 *     image: JobVariable.string({ pattern: '^registry\\.example/' }),
 *     memory_limit: JobVariable.choice(['1Gi', '4Gi'], { default: '1Gi' }),
 *     team: JobVariable.choice(['fraud', 'risk'], { required: true }),
 *   },
 *   nodeSelector: { team: '{{ team }}' },
 * });
 *
 * @see https://docs.prefect.io/v3/how-to-guides/deployment_infra/manage-work-pools#base-job-template
 */
export class JobVariable {
  /**
   * Text.
   *
   * @param options Rule, default and description.
   */
  public static string(options: StringJobVariableOptions = {}): JobVariable {
    checkArguments('JobVariable.string', { options });
    const { pattern, default: value } = options;
    if (pattern !== undefined) checkPattern(pattern);
    if (pattern !== undefined && value !== undefined && !new RegExp(pattern, 'u').test(value)) {
      refuseDefault(value, `must match the pattern ${pattern}`);
    }
    return new JobVariable('string', options, value, { type: 'string', ...(pattern !== undefined && { pattern }) });
  }

  /**
   * One of several values.
   *
   * @param values All values that are allowed.
   * @param options Default and description.
   */
  public static choice(values: string[], options: ChoiceJobVariableOptions = {}): JobVariable {
    checkArguments('JobVariable.choice', { values, options });
    for (const i of values.keys()) checkFirst('JobVariable', 'values', values, i);
    if (values.length === 0) {
      refuse('JobVariable', { prop: 'values', value: [], allowed: 'must not be empty: no flow run could be created', remedy: 'give some' });
    }
    const { default: value } = options;
    if (value !== undefined && !values.includes(value)) refuseDefault(value, `must be one of ${values.join(', ')}`);
    return new JobVariable('choice', options, value, { type: 'string', enum: [...values] });
  }

  /**
   * A whole number.
   *
   * @param options Limits, default and description.
   */
  public static integer(options: IntegerJobVariableOptions = {}): JobVariable {
    checkArguments('JobVariable.integer', { options });
    const { default: value, minimum, maximum } = options;
    for (const [prop, number] of Object.entries({ default: value, minimum, maximum })) {
      if (number !== undefined && !Number.isSafeInteger(number)) {
        refuse('JobVariable', { prop, value: number, allowed: 'must be a whole number', remedy: 'choose such a number' });
      }
    }
    const [least, most] = [minimum ?? Number.NEGATIVE_INFINITY, maximum ?? Number.POSITIVE_INFINITY];
    if (least > most) {
      refuse('JobVariable', { prop: 'minimum', value: least, allowed: `must be at most the maximum, ${most}`, remedy: 'swap them' });
    }
    if (value !== undefined && (value < least || value > most)) refuseDefault(value, `must be from ${least} to ${most}`);
    return new JobVariable('integer', options, value, {
      type: 'integer',
      ...(minimum !== undefined && { minimum }),
      ...(maximum !== undefined && { maximum }),
    });
  }

  /**
   * True or false.
   *
   * @param options Default and description.
   */
  public static boolean(options: BooleanJobVariableOptions = {}): JobVariable {
    checkArguments('JobVariable.boolean', { options });
    return new JobVariable('boolean', options, options.default, { type: 'boolean' });
  }

  /**
   * Strings by name: for `env`, `labels` and `annotations` alone.
   *
   * @param options Description, and whether it is required.
   */
  public static map(options: JobVariableOptions = {}): JobVariable {
    checkArguments('JobVariable.map', { options });
    return new JobVariable('map', options, undefined, { type: 'object' });
  }

  /** @internal */
  public readonly _required: boolean;

  /** @internal */
  public readonly _description?: string;

  private constructor(
    /** @internal */
    public readonly _kind: Kind,
    { description, required }: JobVariableOptions,
    /** @internal */
    public readonly _default: string | number | boolean | undefined,
    /**
     * Its JSON schema, without description and default.
     * @internal
     */
    public readonly _schema: { readonly [keyword: string]: unknown },
  ) {
    if (required && _default !== undefined) {
      refuse('JobVariable', {
        prop: 'required',
        value: true,
        allowed: 'must not have a default: every flow run without a value would get it',
        remedy: 'leave one of them out',
      });
    }
    this._required = required ?? false;
    this._description = description;
  }
}

/** The API uses Python's regular expressions and this library uses JavaScript's. A pattern must mean the same in both. */
function checkPattern(pattern: string): void {
  try {
    new RegExp(pattern, 'u');
    if (!/\\[pPkuc]|\(\?<|\[\^?\]/.test(pattern)) return;
  } catch {}
  refuse('JobVariable', {
    prop: 'pattern',
    value: pattern,
    allowed: 'must be a regular expression in both Python and JavaScript, without \\p, \\k, \\u, \\c, (?<, [] and [^]',
    remedy: 'write it more plainly',
  });
}

function refuseDefault(value: string | number, allowed: string): never {
  refuse('JobVariable', { prop: 'default', value, allowed, remedy: 'choose such a value, or another rule' });
}
