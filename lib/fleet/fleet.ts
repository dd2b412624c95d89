import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ApiObject, App, Chart } from 'cdk8s';
import type { Construct, IConstruct } from 'constructs';
import { checkDnsLabel } from '../kubernetes/_checks';
import { checkOwnProps } from '../kubernetes/_guard';
import { type RefusalError, refuse } from '../kubernetes/_refuse';
import { type Facts, noFacts, takeFacts, warningsOf } from '../kubernetes/_warnings';
import { stringifyManifests } from '../kubernetes/_yaml';
import { placeOf, refuseAll, report, type TeamError, without } from './_fleet-errors';
import type { ReadFile } from './_fleet-file';
import { merge } from './_merge';
import { FleetTeam, type FleetTeamProps } from './fleet-team';

/** Properties of `Fleet`. */
export interface FleetProps {
  /**
   * The teams, by name: a DNS label. The row of a team is merged over the defaults. Objects merge by key; any other value, also a list,
   * replaces the default. `undefined` in TypeScript and `null` in a file remove a default.
   *
   * @default - those of `file`
   */
  readonly teams?: { [name: string]: FleetTeamProps };
  /**
   * Defaults of every row.
   *
   * @default - those of the constructs
   */
  readonly defaults?: FleetTeamProps;
  /**
   * Path of a YAML or JSON file with `teams` and `defaults`, in the format of `fleet.schema.json`. Its teams are added to those given
   * here. Its defaults are merged over those given here.
   *
   * @default - none
   */
  readonly file?: string;
  /**
   * Folder below the output of `cdk8s synth` (`$CDK8S_OUTDIR`, or `dist`). A fleet is for one cluster. Fleets for several clusters need
   * different folders.
   *
   * @default - the output itself
   */
  readonly folder?: string;
}

/** The fleet that wrote to a folder, in this process. */
const owners = new Map<string, Fleet>();

/**
 * An agent for each team of a table, for one cluster. `synth` writes `TEAM/TEAM.k8s.yaml` for each team, byte for byte as an `App` with
 * the same chart would, in linear time. If a row is invalid, it writes nothing and throws one error that lists all mistakes.
 *
 * @example
 * const fleet = new Fleet({
 *   defaults: { api: PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' }) },
 *   teams: {
 *     fraud: { agent: { labels: ['fraud'] }, jobs: { image: 'registry.example/fraud/flows:7' } },
 *     pricing: { agent: { labels: ['pricing'] } },
 *   },
 * });
 * fleet.synth();
 */
export class Fleet {
  /** The output folder of `synth`. */
  public readonly outdir: string;

  private readonly props: FleetProps;

  public constructor(props: FleetProps) {
    this.props = checkOwnProps('Fleet', 'FleetProps', props);
    this.outdir = join(new App().outdir, this.props.folder ?? '');
  }

  /** Writes the manifests of each team to its folder, and deletes those of teams that are no longer in the table. */
  public synth(): void {
    const facts = noFacts();
    const manifests = this.render(facts);
    const owner = owners.get(resolve(this.outdir)) ?? this;
    if (owner !== this) {
      refuse('Fleet', {
        prop: 'folder',
        value: this.props.folder ?? '',
        allowed: 'must not be the folder of another fleet: the files of its teams would be deleted',
        remedy: 'give each fleet its own folder, or make one fleet of both',
      });
    }
    owners.set(resolve(this.outdir), this);
    // The sweeper is in another app, so a missing one is no warning.
    process.stderr.write(warningsOf({ ...facts, flows: [], sweepers: [] }).join(''));

    mkdirSync(this.outdir, { recursive: true });
    for (const { name } of readdirSync(this.outdir, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
      if (!manifests.has(name) && existsSync(this.fileOf(name))) {
        rmSync(this.fileOf(name));
        if (readdirSync(join(this.outdir, name)).length === 0) rmdirSync(join(this.outdir, name));
      }
    }
    for (const [team, yaml] of manifests) {
      const file = this.fileOf(team);
      if (existsSync(file) && readFileSync(file, 'utf8') === yaml) continue;
      mkdirSync(join(this.outdir, team), { recursive: true });
      writeFileSync(file, yaml);
    }
  }

  /**
   * Creates the chart of a team. Override it to add objects to every team, or to patch them.
   *
   * @param scope the scope of the chart
   * @param name the name of the team, and id of the chart
   * @param props the row of the team, merged with the defaults
   */
  protected makeTeam(scope: Construct, name: string, props: FleetTeamProps): FleetTeam {
    return new FleetTeam(scope, name, props);
  }

  private fileOf(team: string): string {
    return join(this.outdir, team, `${team}.k8s.yaml`);
  }

  /** The YAML of each team. */
  private render(facts: Facts): Map<string, string> {
    const { file } = this.props;
    const read = file === undefined ? { teams: {}, defaults: {}, errors: [], lineOf: () => undefined } : readFile(file);
    const defaults = merge(this.props.defaults ?? {}, read.defaults);
    const rows = [...Object.entries(this.props.teams ?? {}), ...Object.entries(read.teams)];
    const manifests = new Map<string, string>();
    const makers = new Map<string, string>();
    const errors: TeamError[] = [];
    for (const [team, row] of rows) {
      const props = merge(defaults, row);
      // A mistake in the file may be the reason.
      if (props.api === undefined && read.errors.length > 0) continue;
      const { objects, yaml, refused } = this.renderTeam(team, props, facts);
      const wrong = [...refused, ...claim(makers, team, objects)];
      if (manifests.has(team)) wrong.push({ message: `${team}: must be given once; leave it out of the file or of the code` });
      errors.push(...wrong.map(({ message, path }) => ({ team, message, line: read.lineOf(team, path ?? []) })));
      manifests.set(team, yaml);
    }
    const all = [...read.errors, ...report(errors)];
    if (all.length > 0) refuseAll(all);
    if (rows.length === 0) {
      refuse('Fleet', { prop: 'teams', allowed: 'must not be empty', remedy: 'give a team, or leave the fleet out' });
    }
    return manifests;
  }

  /** The chart of a team in an App of its own. In one App with all charts, cdk8s resolves and validates all charts again for each chart. */
  private renderTeam(team: string, props: FleetTeamProps, facts: Facts): RenderedTeam {
    const refused: Refused[] = [];
    for (let row: FleetTeamProps | undefined = props; row !== undefined; ) {
      try {
        checkDnsLabel(team, 'the name of the team', team);
        const app = new App();
        const chart = this.makeTeam(app, team, row);
        const { agents, warnings } = takeFacts(app);
        facts.agents.push(...agents);
        facts.warnings.push(...warnings);
        const constructs = app.node.findAll();
        checkOneChart(constructs, chart);
        const yaml = stringifyManifests(chart.toJson());
        // With a refused name, the objects may be named like those of another team. That would be the same mistake again.
        const named = !refused.some(({ path = [] }) => /^(namespace|flowNamespace|resourceName)$/.test(path.at(-1) ?? ''));
        return { objects: named ? constructs.filter(ApiObject.isApiObject) : [], yaml, refused };
      } catch (error) {
        // cdk8s reports all refused validations in one error.
        const [message = '', ...validations] = (error as Error).message.split('\n  ');
        const path = placeOf(row, error as RefusalError);
        refused.push(...(validations.length > 0 ? validations.map((line) => ({ message: `${team}: ${line}` })) : [{ message, path }]));
        row = path && without(row, path);
      }
    }
    return { objects: [], yaml: '', refused };
  }
}

/** Loaded only when a fleet has a file, because its libraries take time to load. */
function readFile(file: string): ReadFile {
  const { readFleetFile } = require('./_fleet-file') as typeof import('./_fleet-file');
  return readFleetFile(file);
}

/** Objects in another chart would be in no file. */
function checkOneChart(constructs: IConstruct[], chart: Chart): void {
  const other = constructs.find((construct) => Chart.isChart(construct) && construct !== chart);
  if (other !== undefined) {
    refuse(other, {
      prop: 'its chart',
      allowed: 'must be in the chart of the team, because only that chart is written',
      remedy: "add the objects to the team's chart, or synthesize another App beside the fleet",
    });
  }
}

/** A mistake in a row, and its path. */
interface Refused {
  readonly message: string;
  readonly path?: string[];
}

interface RenderedTeam {
  readonly objects: ApiObject[];
  readonly yaml: string;
  /** The mistakes. If there are any, the rest is incomplete. */
  readonly refused: Refused[];
}

/** Records the owner of each object, and returns the objects that another team has too. On the cluster, one would overwrite the other. */
function claim(makers: Map<string, string>, team: string, objects: ApiObject[]): Refused[] {
  const taken = objects.flatMap(({ apiGroup, kind, name, metadata, chart }) => {
    const object = `${kind} ${metadata.namespace ?? chart.namespace ?? ''}/${name}`;
    const identity = `${apiGroup} ${object}`;
    const maker = makers.get(identity) ?? team;
    makers.set(identity, maker);
    return maker === team ? [] : [`${object} of ${maker}`];
  });
  if (taken.length === 0) return [];
  const message = `${team}: makes what another team makes: ${taken.join(', ')}; give one of them another namespace or resourceName (or, for another cluster, a fleet of its own)`;
  return [{ message }];
}
