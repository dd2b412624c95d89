import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ErrorObject } from 'ajv';
import { type Document, LineCounter, type Node, parseDocument } from 'yaml';
import { PARTS } from './_fleet-errors';
import { explain, type Path, pathOf } from './_fleet-faults';
import { NOTATIONS } from './_fleet-notation';
import { isMap } from './_merge';
import { refuse } from './_refuse';
import type { FleetTeamProps } from './fleet-team';

/** What a fleet's file says. */
export interface FleetFile {
  /** Where the schema of this file is, for editors. */
  readonly $schema?: string;
  /** What holds of every team that does not say otherwise. */
  readonly defaults?: FleetTeamProps;
  /** The teams, by their names: DNS labels. */
  readonly teams: { [name: string]: FleetTeamProps };
}

/** What of a file could be read, and what is wrong with the rest, each with its line. */
export interface ReadFile {
  readonly defaults: FleetTeamProps;
  readonly teams: { [name: string]: FleetTeamProps };
  readonly errors: string[];
}

/** A place where the schema has a notation. */
interface Noted {
  readonly path: Path;
  readonly notation: keyof typeof NOTATIONS;
}

/** Reads a YAML or JSON file and makes of each notation the value that the props take. */
export function readFleetFile(file: string): ReadFile {
  const counter = new LineCounter();
  const document = parseDocument(readText(file), { lineCounter: counter, prettyErrors: false });
  if (document.errors.length > 0) {
    const errors = document.errors.map(({ pos, message }) => `${file}:${counter.linePos(pos[0]).line}: ${message}`);
    return { defaults: {}, teams: {}, errors };
  }
  // By way of JSON, so that no two places share what an alias stands for.
  const data = JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: -1 })));
  const { noted, errors } = validate(data);
  const faults = explain(errors);
  const faulty = new Set(faults.flatMap(({ path }) => path.map((_, i) => path.slice(0, i + 1).join('/'))));
  nullToUndefined(data);
  // What is within another notation first.
  for (const { path, notation } of noted.sort((a, b) => b.path.length - a.path.length)) {
    const [key = '', ...parents] = [...path].reverse();
    const parent = at(data, parents.reverse()) as Record<string, unknown> | undefined;
    if (parent?.[key] === undefined || faulty.has(path.join('/'))) continue;
    try {
      parent[key] = (NOTATIONS[notation] as (value: unknown) => unknown)(parent[key]);
    } catch (error) {
      faults.push({ path, what: `: ${(error as Error).message}` });
      for (let length = path.length; length > 0; length--) faulty.add(path.slice(0, length).join('/'));
    }
  }
  for (const { path } of faults) takeOut(data, path);
  const { defaults = {}, teams = {} } = isMap(data) ? (data as unknown as FleetFile) : ({} as Partial<FleetFile>);
  const lines = faults.map(({ path, what }) => ({ line: lineOf(document, counter, path), text: `${path.join('.') || 'the file'}${what}` }));
  return {
    defaults,
    // A team with nothing after its name has the defaults.
    teams: Object.fromEntries(Object.entries(teams).map(([team, row]) => [team, row ?? {}])),
    errors: lines.sort((a, b) => a.line - b.line).map(({ line, text }) => `${file}:${line}: ${text}`),
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return refuse('Fleet', {
      prop: 'file',
      value: file,
      allowed: `must be a file that can be read (${(error as Error).message})`,
      remedy: 'give its path, from the folder in which the app runs or absolute',
    });
  }
}

/** Holds the data against the schema, and notes where its notations are. */
function validate(data: unknown): { noted: Noted[]; errors: ErrorObject[] } {
  const noted: Noted[] = [];
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: false, allowUnionTypes: true });
  ajv.addKeyword({
    keyword: 'notation',
    schemaType: 'string',
    validate: (notation: Noted['notation'], _data: unknown, _schema: unknown, context?: { instancePath: string }) => {
      noted.push({ path: pathOf(context?.instancePath ?? ''), notation });
      return true;
    },
  });
  const check = ajv.compile(JSON.parse(readFileSync(join(__dirname, 'fleet.schema.json'), 'utf8')));
  check(data);
  return { noted, errors: check.errors ?? [] };
}

/** What is at a place, if there is one. */
function at(data: unknown, path: Path): unknown {
  return path.reduce((value, key) => (isMap(value) || Array.isArray(value) ? (value as Record<string, unknown>)[key] : undefined), data);
}

/** Takes out the field of a row in which something is wrong, so that what else is wrong with the row can be said at once. */
function takeOut(data: unknown, path: Path): void {
  const row = path[0] === 'teams' ? 2 : 1;
  const [key, ...parents] = path.slice(0, PARTS.has(path[row] ?? '') ? row + 2 : row + 1).reverse();
  const parent = at(data, parents.reverse());
  if (key !== undefined && isMap(parent)) delete parent[key];
}

/** As the props have it: there, what is undefined takes a default away. */
function nullToUndefined(data: unknown): void {
  if (!isMap(data) && !Array.isArray(data)) return;
  for (const [key, value] of Object.entries(data)) {
    if (value === null) (data as Record<string, unknown>)[key] = undefined;
    else nullToUndefined(value);
  }
}

/** Of the place, or of what it should be in. */
function lineOf(document: Document, lineCounter: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    if (node?.range) return lineCounter.linePos(node.range[0]).line;
  }
  return 1;
}
