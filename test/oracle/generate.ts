import fc from '../fast-check';

/** Text that has gone wrong somewhere between YAML, the kubelet, a shell, Prefect's configuration and Python. */
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: what shells and Prefect would expand
const NASTY = [
  '$HOME',
  '$(HOME)',
  '$$',
  '${HOME}',
  '~',
  '~root',
  '123',
  '1e5',
  'true',
  'None',
  "it's",
  '"',
  "'",
  '\\',
  '[a]',
  '{"a": 1}',
  'größe',
];
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

const printable = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('kube', 'gpu', 'team-a', 'Prod', 'eu west') },
  { weight: 9, arbitrary: fc.constantFrom(...NASTY, 'a, b', '--flag', '=', '#', '%s') },
  { weight: 6, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom('数据', '😀'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 })) },
);

/** Agent labels and names, as the constructs accept them: the rest is refused, which is tested there. */
export const label = printable.filter((text) => text === text.trim() && text !== '' && !/[\p{Cc}\p{Cs}]/u.test(text));
export const labels = fc.uniqueArray(label, { maxLength: 4 });

export const envName = fc.oneof(
  fc.constantFrom('TEAM', 'PREFECT__CLOUD__HEARTBEAT_MODE', 'keys', 'items', '_a.b-c'),
  fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,9}$/),
);

/** Text of any length, as the constructs accept it. */
export const isAccepted = (text: string) => !/[\0\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff\p{Cs}]/u.test(text);
export const longText = fc
  .oneof(printable, fc.constantFrom('', '=', '<<', '0o17', 'a\nb\n'), fc.string({ unit: 'grapheme' }))
  .filter(isAccepted);
export const envVars = fc.dictionary(envName, longText, { maxKeys: 4 });

export const dnsLabel = fc.stringMatching(/^[a-z]([-a-z0-9]{0,10}[a-z0-9])?$/);
export const uuid = fc.uuid();
export const url = fc.constantFrom(
  'https://api.prefect.io',
  'http://prefect-apollo.prefect:4200',
  'https://prefect.example/api/',
  'http://[2001:db8::1]:4200',
);
export const apiKey = fc.oneof(fc.constantFrom('123456', '$HOME', 'true', '-k', "it's"), fc.stringMatching(/^[-_A-Za-z0-9$]{8,30}$/));

/** How many generated inputs a construct took, and why it refused the rest. */
export class Tally {
  private accepted = 0;
  private readonly refused = new Map<string, number>();

  /** The result of `build`, or undefined when it refused for one of the `reasons`. */
  public take<T>(build: () => T, reasons: RegExp[]): T | undefined {
    try {
      const built = build();
      this.accepted += 1;
      return built;
    } catch (error) {
      const reason = reasons.find((pattern) => pattern.test((error as Error).message));
      if (!reason) throw error;
      this.refused.set(reason.source, (this.refused.get(reason.source) ?? 0) + 1);
      return undefined;
    }
  }

  public get share(): number {
    const refused = [...this.refused.values()].reduce((sum, count) => sum + count, 0);
    return this.accepted / (this.accepted + refused);
  }

  public toString(): string {
    return `${this.accepted} accepted, refused: ${JSON.stringify(Object.fromEntries(this.refused))}`;
  }
}
