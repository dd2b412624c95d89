import { isMap } from '../kubernetes/_map';
import { fail, type RefusalError } from '../kubernetes/_refuse';
import type { FleetTeamProps } from './fleet-team';

/** The parts of a row. Each becomes a child of the team's chart. */
export const PARTS = new Map(Object.entries({ agent: 'Agent', jobs: 'Jobs', dask: 'Dask', debug: 'Debug' }));

/** Options that are invalid without one of their fields. */
export const WHOLE = new Set(['api', 'proxy']);

/** The path of the invalid value in a row, or of the part that can be left out. Undefined if the error names no field of the row. */
export function placeOf(row: FleetTeamProps, { place = '', prop = '' }: Partial<RefusalError>): string[] | undefined {
  // An element of a list can only be left out with the whole list.
  const names = prop.replace(/\[\d.*/, '').split('.');
  const child = place.split('/')[1];
  const [part] = [...PARTS].find(([, id]) => id === child) ?? [];
  // `flowNamespace` is a field of the agent, and the other constructs get it from there. The field itself, of whichever part, comes first.
  const paths = [part, undefined, 'agent'].map((owner) => (owner === undefined ? names : [owner, ...names]));
  const depthOf = ([key = '']: string[]) => (PARTS.has(key) ? 2 : 1);
  const places = [1, 0, -1].flatMap((more) =>
    paths.filter((path) => more < 1 || !WHOLE.has(path[depthOf(path) - 1] ?? '')).map((path) => path.slice(0, depthOf(path) + more)),
  );
  return places.find((path) => path.length > 0 && has(row, path));
}

function has(row: unknown, [key = '', ...rest]: string[]): boolean {
  if (!isMap(row) || row[key] === undefined) return false;
  return rest.length === 0 || has(row[key], rest);
}

/** A row without the invalid value, so that one error can list all mistakes. */
export function without(row: FleetTeamProps, [key = '', ...rest]: string[]): FleetTeamProps {
  const { [key]: value, ...others } = { ...row } as Record<string, unknown>;
  return rest.length === 0 ? others : { ...others, [key]: without(value as FleetTeamProps, rest) };
}

/** A mistake in the row of a team. */
export interface TeamError {
  readonly team: string;
  readonly message: string;
  /** The position in the file, as `FILE:LINE`, if the file has it. */
  readonly line?: string;
}

/** One line for each mistake. A mistake in the defaults is the same for many teams, so it gets one line. */
export function report(errors: TeamError[]): string[] {
  const teamsOf = new Map<string, string[]>();
  for (const { team, message, line } of errors) {
    const what = message.startsWith(`${team}:`) || message.startsWith(`${team}/`) ? message.slice(team.length) : `: ${message}`;
    const key = `${line === undefined ? '' : `${line}: `}\0${what}`;
    const teams = teamsOf.get(key) ?? [];
    teams.push(team);
    teamsOf.set(key, teams);
  }
  return [...teamsOf].map(([key, teams]) => key.replace('\0', () => (teams.length === 1 ? (teams[0] ?? '') : `{${teams.join(',')}}`)));
}

/** All mistakes in one error. */
export function refuseAll(lines: string[]): never {
  const count = lines.length === 1 ? '1 setting is' : `${lines.length} settings are`;
  fail(`Fleet: ${count} invalid:\n  ${lines.join('\n  ')}`);
}
