import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ApiObject, App, Chart, Yaml } from 'cdk8s';
import type { Construct, IConstruct } from 'constructs';
import { checkDnsLabel } from './_checks';
import { report, type TeamError, withoutRefused } from './_fleet-errors';
import type { ReadFile } from './_fleet-file';
import { merge } from './_merge';
import { type RefusalError, refuse } from './_refuse';
import { FleetTeam, type FleetTeamProps } from './fleet-team';

/** Properties of `Fleet`. */
export interface FleetProps {
  /**
   * The teams, by their names: DNS labels. What is said of a team is merged over the defaults: maps by their keys; any other value,
   * lists too, replaces. In TypeScript `undefined`, in a file `null`, takes a default away.
   *
   * @default - those of `file`
   */
  readonly teams?: { [name: string]: FleetTeamProps };
  /**
   * What holds of every team that does not say otherwise.
   *
   * @default - those of the constructs
   */
  readonly defaults?: FleetTeamProps;
  /**
   * Path of a YAML or JSON file with `teams` and `defaults`, in the shape of `fleet.schema.json`. Its teams are beside those given
   * here; its defaults are merged over those given here.
   *
   * @default - none
   */
  readonly file?: string;
  /**
   * Folder below the output of `cdk8s synth` (`$CDK8S_OUTDIR`, else `dist`). A fleet is for one cluster and has a folder for itself:
   * fleets for several clusters need different ones.
   *
   * @default - the output itself
   */
  readonly folder?: string;
}

/** Which fleet wrote to a folder, in this process. */
const owners = new Map<string, Fleet>();

/**
 * An agent for each team of a table, for one cluster. `synth` writes `TEAM/TEAM.k8s.yaml` for each, with the bytes that an `App` with
 * the same charts would write, in a time that grows as the number of teams, not as its square; or nothing, and says all that is wrong.
 *
 * @example
 * const fleet = new Fleet({
 *   defaults: { api: PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key') }) },
 *   teams: {
 *     fraud: { agent: { labels: ['fraud'] }, jobs: { image: 'registry.example/fraud/flows:7' } },
 *     pricing: { agent: { labels: ['pricing'] } },
 *   },
 * });
 * fleet.synth();
 *
 * @see https://github.com/cdk8s-prefect/cdk8s-prefect/blob/main/docs/fleets.md
 */
export class Fleet {
  /** The folder to which `synth` writes. */
  public readonly outdir: string;

  private readonly props: FleetProps;

  public constructor(props: FleetProps) {
    this.props = props;
    this.outdir = join(new App().outdir, props.folder ?? '');
  }

  /** Writes the manifests of each team to its folder, and removes those of teams that are no longer in the table. */
  public synth(): void {
    const manifests = this.render();
    const owner = owners.get(resolve(this.outdir)) ?? this;
    if (owner !== this) {
      refuse('Fleet', {
        prop: 'folder',
        value: this.props.folder ?? '',
        allowed: 'must not be that of another fleet, whose teams would be taken for removed ones',
        remedy: 'give each fleet a folder of its own, or make them one',
      });
    }
    owners.set(resolve(this.outdir), this);

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
   * Makes the chart of a team. Override it to add to every team what its row cannot say.
   *
   * @param scope the scope of the chart
   * @param name the name of the team, and id of the chart
   * @param props its row, merged with the defaults
   */
  protected makeTeam(scope: Construct, name: string, props: FleetTeamProps): FleetTeam {
    return new FleetTeam(scope, name, props);
  }

  private fileOf(team: string): string {
    return join(this.outdir, team, `${team}.k8s.yaml`);
  }

  /** The YAML of each team. */
  private render(): Map<string, string> {
    const { file } = this.props;
    const read = file === undefined ? { teams: {}, defaults: {}, errors: [] } : readFile(file);
    const defaults = merge(this.props.defaults ?? {}, read.defaults);
    const rows = [...Object.entries(this.props.teams ?? {}), ...Object.entries(read.teams)];
    const manifests = new Map<string, string>();
    const makers = new Map<string, string>();
    const errors: TeamError[] = [];
    for (const [team, row] of rows) {
      const props = merge(defaults, row);
      // What is wrong with the file may be why there is none.
      if (props.api === undefined && read.errors.length > 0) continue;
      const { objects, yaml, refused } = this.renderTeam(team, props);
      const wrong = [...refused, ...(refused.length > 0 ? [] : claim(makers, team, objects))];
      if (manifests.has(team)) wrong.push(`${team}: must be given once; leave it out of the file or of the code`);
      errors.push(...wrong.map((message) => ({ team, message })));
      manifests.set(team, yaml);
    }
    const all = [...read.errors, ...report(errors)];
    if (all.length > 0) throw new Error(`Fleet: ${all.length} settings are refused:\n  ${all.join('\n  ')}`);
    if (rows.length === 0) {
      refuse('Fleet', { prop: 'teams', allowed: 'must not be empty', remedy: 'give a team, or leave the fleet out' });
    }
    return manifests;
  }

  /** A team's chart in an App of its own: in one with all charts, cdk8s resolves and validates all of them again for each. */
  private renderTeam(team: string, props: FleetTeamProps): RenderedTeam {
    const refused: string[] = [];
    for (let row: FleetTeamProps | undefined = props; row !== undefined; ) {
      try {
        checkDnsLabel(team, 'the name of the team', team);
        const app = new App();
        const chart = this.makeTeam(app, team, row);
        const constructs = app.node.findAll();
        checkOneChart(constructs, chart);
        return { objects: constructs.filter(ApiObject.isApiObject), yaml: Yaml.stringify(...chart.toJson()), refused };
      } catch (error) {
        // cdk8s says in one error all that validations have refused.
        const [message = '', ...validations] = (error as Error).message.split('\n  ');
        refused.push(...(validations.length > 0 ? validations.map((line) => `${team}: ${line}`) : [message]));
        row = withoutRefused(row, error as RefusalError);
      }
    }
    return { objects: [], yaml: '', refused };
  }
}

/** Loaded only here, with the libraries that it needs: most who import this one read no file. */
function readFile(file: string): ReadFile {
  const { readFleetFile } = require('./_fleet-file') as typeof import('./_fleet-file');
  return readFleetFile(file);
}

/** What is in another chart would be in no file. */
function checkOneChart(constructs: IConstruct[], chart: Chart): void {
  const other = constructs.find((construct) => Chart.isChart(construct) && construct !== chart);
  if (other !== undefined) {
    refuse(other, {
      prop: 'its chart',
      allowed: "must be the team's, of which its file is made",
      remedy: "add the objects to the team's chart, or synthesize an App of your own beside the fleet",
    });
  }
}

interface RenderedTeam {
  readonly objects: ApiObject[];
  readonly yaml: string;
  /** What was refused; then the rest is without it, and of no use. */
  readonly refused: string[];
}

/** Notes whose the objects are, and says which are another team's too: on the cluster, one would overwrite the other. */
function claim(makers: Map<string, string>, team: string, objects: ApiObject[]): string[] {
  const taken = objects.flatMap(({ apiGroup, kind, name, metadata, chart }) => {
    const object = `${kind} ${metadata.namespace ?? chart.namespace ?? ''}/${name}`;
    const identity = `${apiGroup} ${object}`;
    const maker = makers.get(identity) ?? team;
    makers.set(identity, maker);
    return maker === team ? [] : [`${object} of ${maker}`];
  });
  if (taken.length === 0) return [];
  return [
    `${team}: makes what another team makes: ${taken.join(', ')}; give one of them another namespace or resourceName (or, for another cluster, a fleet of its own)`,
  ];
}
