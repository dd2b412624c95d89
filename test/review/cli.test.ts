import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart } from 'cdk8s';
import { Manifests, PrefectAgent, PrefectApi } from '../../lib';

const root = join(__dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What `npx cdk8s-prefect` does, from the sources. */
function run(...args: string[]) {
  const tsx = join(root, 'node_modules/.bin/tsx');
  return spawnSync(tsx, [join(root, 'lib/review/cli.ts'), ...args], { encoding: 'utf8', cwd: folder });
}

function synth(name: string, image: string): string {
  const outdir = join(folder, name);
  const app = new App({ outdir });
  const chart = new Chart(app, 'prefect', { namespace: 'prefect' });
  new PrefectAgent(chart, 'Agent', { api: PrefectApi.server({ url: 'http://prefect:4200' }), image });
  app.synth();
  return outdir;
}

function file(text: string, name = 'a.yaml'): string {
  const path = mkdtempSync(join(folder, 'input-'));
  writeFileSync(join(path, name), text);
  return path;
}

describe('the command', () => {
  const [old, next] = [synth('old', 'prefecthq/prefect:1.4.1-python3.9'), synth('new', 'prefecthq/prefect:1.4.1-python3.10')];

  test('says what happens, as text, Markdown and JSON, of folders and of files', () => {
    const text = run('review', old, next);
    expect([text.status, text.stderr]).toEqual([0, '']);
    expect(text.stdout).toContain('Worst: restarts. 1 object changed');
    const markdown = run('review', join(old, 'prefect.k8s.yaml'), join(next, 'prefect.k8s.yaml'), '--format', 'markdown');
    expect(markdown.stdout).toContain('| **restarts** | <code>Deployment prefect/prefect-agent</code> |');
    expect(JSON.parse(run('review', '--format=json', old, next).stdout)).toMatchObject({
      version: 1,
      summary: { worst: 'restarts', changed: 1 },
    });
  });
  test('ends with 1 if there is what it shall fail on', () => {
    const failed = run('review', old, next, '--fail-on', 'needs,restarts');
    expect([failed.status, failed.stderr]).toEqual([1, '']);
    expect(failed.stdout).toContain('restarts');
    expect(run('review', old, next, '--fail-on', 'needs,refused').status).toBe(0);
  });
  test('ends with 2, and one sentence, if it cannot', () => {
    for (const [args, sentence] of [
      [['review', old], 'give two folders or files'],
      [['compare', old, next], 'give two folders or files'],
      [['review', old, next, '--fail-on', 'restart'], 'there is no class restart'],
      [['review', old, next, '--format', 'xml'], '--format must be text, markdown, json'],
      [['review', old, next, '--prune'], "Unknown option '--prune'"],
      [['review', old, join(folder, 'missing')], 'must be an existing folder or file'],
    ] as const) {
      const { status, stdout, stderr } = run(...args);
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr).toContain(`cdk8s-prefect: ${stderr.includes('Manifests: ') ? 'Manifests: path is ' : ''}`);
      expect(stderr).toContain(sentence);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
  });
  test('says how it is used', () => expect(run('--help').stdout).toContain('usage: cdk8s-prefect review OLD NEW'));
});

describe('what is read', () => {
  const SECRET = 'pa55-Marker-9f3e';
  const config = (name: string, value = 'x') => `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata: { a: ${value} }\n`;
  const dataOf = (value: string) => (Manifests.read(file(config('a', value))).all[0] as { data: { a: unknown } }).data.a;

  test('all documents of all files of a folder, in the order of their names', () => {
    const path = file(`# first\n---\n${config('b')}---\n${config('c')}`, 'b.yaml');
    mkdirSync(join(path, 'team'));
    writeFileSync(join(path, 'team', 'c.yml'), `---\n${config('d')}`);
    writeFileSync(join(path, 'a.json'), JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } }));
    writeFileSync(join(path, 'empty-chart.yaml'), '');
    writeFileSync(join(path, 'README.md'), 'no manifest');
    expect(Manifests.read(path).names()).toEqual(['Namespace a', 'ConfigMap b', 'ConfigMap c', 'ConfigMap d']);
    expect(Manifests.read(join(path, 'b.yaml')).names()).toEqual(['ConfigMap b', 'ConfigMap c']);
  });
  test('as kubectl reads YAML', () => {
    for (const [text, value] of [
      ['yes', true],
      ['off', false],
      ['017', 15],
      ['0o17', 15],
      ['0x1F', 31],
      ['1:30', '1:30'],
      ['2026-01-01', '2026-01-01'],
      ['"yes"', 'yes'],
      ['1_000', 1000],
      ['~', null],
      ['1e3', 1000],
      ['<<', '<<'],
    ] as const) {
      expect([text, dataOf(text)]).toEqual([text, value]);
    }
  });
  test('text in blocks that looks like a separator is text', () => {
    const text = `${config('a')}---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: b }\ndata:\n  a: |\n    x\n    ---\n    y\n`;
    expect(Manifests.read(file(text)).one('ConfigMap', 'b')).toMatchObject({ data: { a: 'x\n---\ny\n' } });
  });

  test.each([
    ['YAML that is broken', `${config('a')}---\nkind: [${SECRET}\n`, /a\.yaml:7 is not YAML that kubectl reads \(.+\); mend that line$/],
    ['a key twice', `a: 1\nb: ${SECRET}\nb: 2\n`, /a\.yaml:3 is not YAML that kubectl reads \(duplicate key\)/],
    ['a tab', `a:\n\t- ${SECRET}\n`, /a\.yaml:2 is not YAML/],
    ['an unknown tag', `a: !!js/function ${SECRET}\n`, /a\.yaml:1 /],
    ['an empty document', `${config('a')}---\n---\n${config('b')}`, /a\.yaml:5 has an empty document; take out the "---" too many$/],
    ['one of comments', `${config('a')}---\n# nothing\n`, /a\.yaml:\d has an empty document/],
    [
      'a List',
      `apiVersion: v1\nkind: List\nitems:\n- kind: ${SECRET}\n`,
      /a\.yaml:1 has a List; write each object as a document of its own$/,
    ],
    ['text', `${SECRET}\n`, /a\.yaml:1 has a document that is no manifest/],
    ['a list', `- ${SECRET}\n`, /a\.yaml:1 has a document that is no manifest/],
    [
      'what has no name',
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { generateName: ${SECRET} }\n`,
      /without apiVersion, kind or metadata.name/,
    ],
    ['what has no kind', `apiVersion: v1\nmetadata: { name: a }\ndata: { a: ${SECRET} }\n`, /without apiVersion, kind or metadata.name/],
    ['a bomb of aliases', bomb(), /a\.yaml:1 has aliases that unfold to too much/],
    [
      'an alias to what holds it',
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: &a { x: *a, y: ${SECRET} }\n`,
      /a\.yaml:1 has aliases that unfold/,
    ],
    ['a thousand brackets', '['.repeat(100_000), /a\.yaml:1 is not YAML/],
    ['an alias to nothing', `a: *${SECRET}\n`, /a\.yaml:1 /],
    ['nothing', '', /Manifests: path is ".*": it must contain manifests; run cdk8s synth first/],
    ['bytes', '\u0000\u0001', /a\.yaml:1 /],
  ])('%s is refused, with the line and without its text', (_, text, message) => {
    let said = '';
    try {
      Manifests.read(file(text));
    } catch (error) {
      said = (error as Error).message;
    }
    expect(said).toMatch(message);
    expect(said).not.toContain('Marker');
    expect(said.split('\n')).toHaveLength(1);
  });
  test('what is not there is refused', () => {
    expect(() => Manifests.read(join(folder, 'nowhere'))).toThrow(/must be an existing folder or file; run cdk8s synth first/);
  });

  function bomb(): string {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`);
    return `l0: &l0 [x]\n${levels.join('\n')}\n`;
  }
});
