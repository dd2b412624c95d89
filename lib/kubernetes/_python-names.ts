import { STRUCTS } from './_props-table';

/** Props and methods by their names in TypeScript. */
const names = new Map(
  Object.entries(STRUCTS)
    .flatMap(([struct, props]) => [...Object.keys(props), ...struct.split('.').slice(1)])
    .map((name) => [name, name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)]),
);

/** Whether a program in Python runs this library: jsii says so. */
export function isPython(): boolean {
  return process.env.JSII_AGENT?.startsWith('Python/') ?? false;
}

/**
 * Converts TypeScript in a message to Python: `PrefectApi.cloud({ apiKey: x })` is `PrefectApi.cloud(api_key=x)`. Fields of Kubernetes stay
 * as they are.
 */
export function inPython(text: string): string {
  return text
    .replace(/\{ (\w+: [^{}]*) \}(?=\))/g, '$1')
    .replace(/\b([a-z]\w*): (?=['"[{\d]|[A-Z]\w*\.\w|true|false)/g, (assignment, name: string) =>
      names.has(name) ? `${name}=` : assignment,
    )
    .replace(/(?<!podSpec\.)\b[a-z]+[A-Z]\w*/g, (word) => names.get(word) ?? word)
    .replace(/=true\b/g, '=True')
    .replace(/=false\b/g, '=False');
}
