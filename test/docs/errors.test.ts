import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart } from 'cdk8s';
import { Fleet, PrefectAgent, PrefectApi } from '../../lib';
import { Document } from './documents';

/** The error that follows a heading, as the page shows it. */
function shown(path: string, heading: string): string | undefined {
  return new Document(path)
    .under(heading)
    .snippets.find(({ language }) => language === 'text')
    ?.text.trim();
}

test('the error of a fleet in docs/fleets.md is the one that its file causes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  const file = new Document('docs/fleets.md').under('Errors').snippets.find(({ attributes }) => attributes.includes('teams.yaml'));
  writeFileSync(join(folder, 'teams.yaml'), file?.text ?? '');
  try {
    new Fleet({ file: join(folder, 'teams.yaml') }).synth();
    throw new Error('the file is valid');
  } catch (error) {
    expect((error as Error).message.replaceAll(`${folder}/`, '')).toBe(shown('docs/fleets.md', 'Errors'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the error in docs/troubleshooting.md is the one of the label', () => {
  const chart = new Chart(new App(), 'prefect', { namespace: 'prefect' });
  const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
  expect(() => new PrefectAgent(chart, 'Agent', { api, labels: ['kube', 'kube'] })).toThrow(
    new Error(shown('docs/troubleshooting.md', 'Errors of constructs')),
  );
});
