import { isMap } from './_merge';
import type { RefusalError } from './_refuse';
import type { FleetTeamProps } from './fleet-team';

/** The parts of a row, each of which makes a child of the team's chart. */
export const PARTS = new Map(Object.entries({ agent: 'Agent', jobs: 'Jobs', dask: 'Dask', debug: 'Debug' }));

/**
 * A row without the field that was refused, so that what else is wrong with it can be said at once; undefined if the error names no
 * field of the row.
 */
export function withoutRefused(row: FleetTeamProps, { place = '', prop = '' }: Partial<RefusalError>): FleetTeamProps | undefined {
  const [field = ''] = /^\w*/.exec(prop) ?? [];
  const fields: Record<string, unknown> = { ...row };
  const child = place.split('/')[1];
  const [part] = [...PARTS].find(([, id]) => id === child) ?? [];
  // The namespace of the flows is said of the agent, and reaches the others from there.
  for (const name of [part, undefined, 'agent']) {
    const owner = name === undefined ? fields : fields[name];
    if (isMap(owner) && owner[field] !== undefined) {
      const { [field]: _, ...rest } = owner;
      return name === undefined ? rest : { ...fields, [name]: rest };
    }
  }
  return undefined;
}

/** What is wrong with a team. */
export interface TeamError {
  readonly team: string;
  readonly message: string;
}

/** One line for each thing that is wrong: what is wrong with the defaults is wrong with many teams, in the same words. */
export function report(errors: TeamError[]): string[] {
  const teamsOf = new Map<string, string[]>();
  for (const { team, message } of errors) {
    const what = message.startsWith(`${team}:`) || message.startsWith(`${team}/`) ? message.slice(team.length) : `: ${message}`;
    const teams = teamsOf.get(what) ?? [];
    teams.push(team);
    teamsOf.set(what, teams);
  }
  return [...teamsOf].map(([what, teams]) => (teams.length === 1 ? teams[0] : `{${teams.join(',')}}`) + what);
}
