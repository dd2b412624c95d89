import { App, Chart } from 'cdk8s';
import { BaseJobTemplate, type BaseJobTemplateProps, type Prefect3Api } from '../../lib';
import fc from '../fast-check';
import { PREFECT3, Prefect3Oracle, Prefect3Server } from './prefect3';
import { apis, run, template, valuesFor } from './worker-generate';

const RUNS_PER_TEMPLATE = 5;
const TEMPLATES = process.env.FULL ? 1000 : 40;

if (process.env.FULL) jest.setTimeout(3_600_000);

function build(api: Prefect3Api, props: Partial<BaseJobTemplateProps>): BaseJobTemplate {
  return new BaseJobTemplate(new Chart(new App(), 'chart', { namespace: 'prefect' }), 'Template', { ...props, api });
}

function refuses(made: BaseJobTemplate, values: Record<string, unknown>): boolean {
  try {
    made.effectiveJob({}, values);
    return false;
  } catch (error) {
    expect(String(error)).toContain('jobVariables.');
    return true;
  }
}

const withRuns = template.chain((generated) =>
  fc.record({
    generated: fc.constant(generated),
    runs: fc.array(fc.record({ run, deployment: valuesFor(generated.names), own: valuesFor(generated.names) }), {
      minLength: RUNS_PER_TEMPLATE,
      maxLength: RUNS_PER_TEMPLATE,
    }),
  }),
);

describe.each(PREFECT3)('Prefect %s', (release) => {
  describe.each(Object.entries(apis))('with %s', (_name, { api, env }) => {
    let oracle: Prefect3Oracle;
    beforeAll(() => {
      oracle = new Prefect3Oracle(release, { PREFECT_API_URL: api.url, ...env });
    });
    afterAll(() => oracle.stop());

    test(`effectiveJob is the Job that the real worker makes of generated templates, variables and runs`, async () => {
      let [compared, refused] = [0, 0];
      await fc.assert(
        fc.asyncProperty(withRuns, async ({ generated, runs }) => {
          const made = build(api, generated.props);
          const accepted = runs.filter(({ deployment, own }) => deployment.good && own.good);
          refused += runs.length - accepted.length;
          const jobs = await oracle.ask({
            jobs: {
              template: made.toJson(),
              runs: accepted.map(({ run: described, deployment, own }) => ({
                run: described,
                deploymentVariables: deployment.values,
                runVariables: own.values,
              })),
            },
          });
          compared += jobs.length;
          const ours = accepted.map(({ run: described, deployment, own }) => {
            const values = { ...deployment.values, ...own.values };
            const both = [deployment.values.env, own.values.env].filter((value) => value !== undefined);
            if (both.length > 0) values.env = Object.assign({}, ...both);
            return { namespace: made.flowNamespace, manifest: made.effectiveJob({ ...described, prefectVersion: release }, values) };
          });
          expect(jobs).toEqual(ours);
          expect(JSON.stringify(jobs)).not.toContain('marker-of-the-secret');
        }),
        { numRuns: Math.ceil(TEMPLATES / Object.keys(apis).length) },
      );
      expect(compared).toBeGreaterThan(TEMPLATES / 3);
      expect(refused).toBeGreaterThan(0);
    });
  });

  describe('its server', () => {
    let server: Prefect3Server;
    let flowId: string;
    beforeAll(async () => {
      server = await Prefect3Server.start(release);
      flowId = (await server.ask('POST', '/flows/', { name: 'flow' })).body.id;
    });
    afterAll(() => server.stop());

    test('takes every template that we take, and refuses the job variables that we refuse', async () => {
      const tally = { taken: 0, refused: 0, runs: 0 };
      const some = template.chain((generated) =>
        fc.record({ generated: fc.constant(generated), values: fc.array(valuesFor(generated.names), { minLength: 4, maxLength: 4 }) }),
      );
      let number = 0;
      await fc.assert(
        fc.asyncProperty(some, async ({ generated, values }) => {
          number += 1;
          const made = build(apis.server.api, generated.props);
          const pool = `pool-${number}`;
          const created = await server.ask('POST', '/work_pools/', { name: pool, type: 'kubernetes', base_job_template: made.toJson() });
          expect(created).toMatchObject({ status: 201, body: { base_job_template: made.toJson() } });
          const plain = await server.ask('POST', '/deployments/', { name: `d-${number}`, flow_id: flowId, work_pool_name: pool });
          for (const [i, { values: jobVariables, good }] of values.entries()) {
            const { status } = await server.ask('POST', '/deployments/', {
              name: `d-${number}-${i}`,
              flow_id: flowId,
              work_pool_name: pool,
              job_variables: jobVariables,
            });
            expect([jobVariables, good, refuses(made, jobVariables)]).toEqual([jobVariables, status === 201, status === 422]);
            tally[good ? 'taken' : 'refused'] += 1;
            const ofRun = await server.ask('POST', `/deployments/${plain.body.id}/create_flow_run`, {
              job_variables: jobVariables,
              state: { type: 'SCHEDULED' },
            });
            expect([jobVariables, ofRun.status]).toEqual([jobVariables, good ? 201 : 422]);
            tally.runs += 1;
          }
        }),
        { numRuns: Math.ceil(TEMPLATES / 2) },
      );
      expect(tally.taken).toBeGreaterThan(TEMPLATES / 4);
      expect(tally.refused).toBeGreaterThan(TEMPLATES / 4);
    });
  });
});
