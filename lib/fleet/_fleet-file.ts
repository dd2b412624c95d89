import { readFileSync } from 'node:fs';
import { Ajv, type ErrorObject } from 'ajv';
import { type Document, LineCounter, type Node, parseDocument } from 'yaml';
import { isMap } from '../kubernetes/_map';
import { refuse } from '../kubernetes/_refuse';
import { PARTS, WHOLE } from './_fleet-errors';
import { explain, type Path, pathOf } from './_fleet-faults';
import { NOTATIONS } from './_fleet-notation';
import schema from './fleet.schema.json';
import type { FleetTeamProps } from './fleet-team';

/** The content of a fleet's file. */
export interface FleetFile {
  /** Path of the schema, for editors. */
  readonly $schema?: string;
  /** Defaults of every row. */
  readonly defaults?: FleetTeamProps;
  /** The teams, by name: a DNS label. */
  readonly teams: { [name: string]: FleetTeamProps };
}

/** The valid part of a file, and the mistakes in the rest, each with its line. */
export interface ReadFile {
  readonly defaults: FleetTeamProps;
  readonly teams: { [name: string]: FleetTeamProps };
  readonly errors: string[];
  /** The position of a setting of a team, as `FILE:LINE`. Undefined if the file does not have the team. */
  readonly lineOf: (team: string, path: Path) => string | undefined;
}

/** A path where the schema has a notation. */
interface Noted {
  readonly path: Path;
  readonly notation: keyof typeof NOTATIONS;
}

/** Reads a YAML or JSON file and converts each notation to the value of the prop. */
export function readFleetFile(file: string): ReadFile {
  const counter = new LineCounter();
  const document = parseDocument(readText(file), { lineCounter: counter, prettyErrors: false });
  if (document.errors.length > 0) {
    const errors = document.errors.map(({ pos, message }) => `${file}:${counter.linePos(pos[0]).line}: ${message}`);
    return { defaults: {}, teams: {}, errors, lineOf: () => undefined };
  }
  // Through JSON, so that no two paths share the object of an alias.
  const data = JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: -1 })));
  const { noted, errors } = validate(data);
  const faults = explain(errors);
  const faulty = new Set(faults.flatMap(({ path }) => path.map((_, i) => path.slice(0, i + 1).join('/'))));
  nullToUndefined(data);
  // Nested notations first.
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
    // A team without a value has the defaults.
    teams: Object.fromEntries(Object.entries(teams).map(([team, row]) => [team, row ?? {}])),
    errors: lines.sort((a, b) => a.line - b.line).map(({ line, text }) => `${file}:${line}: ${text}`),
    lineOf: (team, path) => {
      if (!document.hasIn(['teams', team])) return undefined;
      // The setting may be in the defaults.
      const places = [
        ['teams', team, ...path],
        ['defaults', ...path],
      ];
      const place = places.find((keys) => document.hasIn(keys)) ?? ['teams', team];
      return `${file}:${lineOf(document, counter, place)}`;
    },
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

/** Validates the data and records the paths of notations. */
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
  const check = ajv.compile(schema);
  check(data);
  return { noted, errors: check.errors ?? [] };
}

/** The value at a path, if there is one. */
function at(data: unknown, path: Path): unknown {
  return path.reduce((value, key) => (isMap(value) || Array.isArray(value) ? (value as Record<string, unknown>)[key] : undefined), data);
}

/** Removes the invalid field of a row, so that one error can list all mistakes. */
function takeOut(data: unknown, path: Path): void {
  const row = path[0] === 'teams' ? 2 : 1;
  const field = PARTS.has(path[row] ?? '') ? row + 2 : row + 1;
  const isList = Array.isArray(at(data, path.slice(0, field)));
  const [key, ...parents] = path.slice(0, isList || WHOLE.has(path[field - 1] ?? '') ? field : field + 1).reverse();
  const parent = at(data, parents.reverse());
  if (key !== undefined && isMap(parent)) delete parent[key];
}

/** Converts null to undefined, which removes a default. */
function nullToUndefined(data: unknown): void {
  if (!isMap(data) && !Array.isArray(data)) return;
  for (const [key, value] of Object.entries(data)) {
    if (value === null) (data as Record<string, unknown>)[key] = undefined;
    else nullToUndefined(value);
  }
}

/** The line of the path, or of its nearest parent. */
function lineOf(document: Document, lineCounter: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    if (node?.range) return lineCounter.linePos(node.range[0]).line;
  }
  return 1;
}
