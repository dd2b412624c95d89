import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart } from 'cdk8s';
import { parseAllDocuments } from 'yaml';
import { PrefectAgent, PrefectApi, SecretKeyRef } from '../../lib';
import { documented } from './assembly';
import { documents, guides, root, type Snippet } from './documents';
import { commandsOf, isElsewhere, walkthroughs } from './walkthrough';

const examples: Snippet[] = documented.flatMap(({ path, docs }) =>
  docs.example === undefined ? [] : [{ language: 'ts', attributes: [], text: docs.example, line: 0, place: `@example of ${path}` }],
);
const inGuides = guides.flatMap(({ snippets }) => snippets);
const inPages = inGuides.filter(({ place }) => place.startsWith('docs/'));
const of = (...languages: string[]) => inGuides.filter(({ language }) => languages.includes(language));
const typescript = [...of('ts', 'typescript'), ...examples];

/** What can be checked, and how; a block of another language is a mistake. */
const LANGUAGES = ['ts', 'py', 'python', 'sh', 'yaml', 'toml', 'json', 'mermaid', 'diff', 'text'];

test('every block says in which language it is', () => {
  expect(inGuides.filter(({ language }) => !LANGUAGES.includes(language)).map(({ place }) => place)).toEqual([]);
  expect(typescript.length).toBeGreaterThan(10);
});

test('every block of TypeScript imports what it uses', () => {
  expect(
    of('ts')
      .filter(({ text }) => !/^import /m.test(text))
      .map(({ place }) => place),
  ).toEqual([]);
});

test('every block of TypeScript in docs/ has the same in Python right below it', () => {
  const blocks = inPages.filter(({ language }, i) => language === 'ts' && !['python', 'py'].includes(inPages[i + 1]?.language ?? ''));
  expect(blocks.map(({ place }) => place)).toEqual([]);
});

describe('TypeScript', () => {
  const folder = join(root, 'build/snippets');
  const fixture = readFileSync(join(root, 'rosetta/default.ts-fixture'), 'utf8');
  const files = typescript.map(({ text, place, attributes }, i) => {
    // The examples of doc comments stand in the fixture.
    const code = place.startsWith('@example') ? fixture.replace('/// here', () => text) : text;
    return {
      file: `snippet-${i}.ts`,
      place,
      code: `// ${place}\n${code}\nexport {};\n`,
      isTest: /^test\(/m.test(text),
      runs: !attributes.includes('norun'),
    };
  });
  mkdirSync(folder, { recursive: true });
  for (const { file, code } of files) writeFileSync(join(folder, file), code);

  test('every block compiles, strictly', () => {
    const config = {
      extends: '../../tsconfig.json',
      compilerOptions: { paths: { 'cdk8s-prefect': ['../../lib'] }, noUnusedLocals: false, incremental: false, tsBuildInfoFile: null },
      include: ['*.ts'],
      exclude: [],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const { stdout, status } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    });
    const places = stdout.replace(/\S*snippet-(\d+)\.ts/g, (_, i) => files[i]?.place ?? '');
    expect([status, places]).toEqual([0, '']);
  });

  const output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  process.env.CDK8S_OUTDIR = output;
  afterAll(() => {
    rmSync(output, { recursive: true });
    rmSync(folder, { recursive: true });
  });

  for (const { file, place, isTest } of files.filter(({ runs }) => runs)) {
    if (isTest) {
      describe(place, () => {
        require(join(folder, file));
      });
    } else {
      test(`${place} runs`, () => {
        const app = new App();
        const chart = new Chart(app, 'chart', { namespace: 'prefect' });
        const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });
        const adminChart = new Chart(app, 'admin', { namespace: 'prefect' });
        const agent = new PrefectAgent(new Chart(new App(), 'chart', { namespace: 'prefect' }), 'Agent', { api });
        Object.assign(globalThis, { app, chart, adminChart, api, agent, key: 'key' });
        jest.isolateModules(() => require(join(folder, file)).example?.());
        app.synth();
      });
    }
  }
});

describe('Python', () => {
  // Those with cdk8s run where the wheel is installed: test/package/consumers.test.ts
  test.each(of('py', 'python'))('$place is something that Python understands', ({ text }) => {
    execFileSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] });
  });
  test.each(of('py').filter(({ text }) => !text.includes('cdk8s')))('$place runs beside the real Prefect', ({ text }) => {
    execFileSync('python3', ['-c', text], { stdio: 'pipe', env: { PATH: process.env.PATH, HOME: '/nonexistent' } });
  });
});

describe('shell', () => {
  const blocks = documents.flatMap(({ snippets }) => snippets).filter(({ language }) => ['sh', 'bash'].includes(language));

  test.each(blocks)('$place is something that bash understands', ({ text }) => {
    execFileSync('bash', ['-n'], { input: text, stdio: 'pipe' });
  });

  test('every command is run by a test, or cannot be', () => {
    const others = guides.filter(({ path }) => ![...walkthroughs.flat(), 'README.md'].includes(path)).flatMap(({ snippets }) => snippets);
    const commands = others.filter(({ language }) => language === 'sh').flatMap(({ text }) => commandsOf(text));
    expect(commands.length).toBeGreaterThan(5);
    expect(commands.filter((command) => !isElsewhere(command))).toEqual([]);
  });

  test('every script of npm that is named exists', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const named = documents.flatMap(({ text }) =>
      [...text.matchAll(/npm run (?:--silent )?([a-z][\w:-]*)/g)].map(([, name]) => name as string),
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

test('what is YAML or JSON parses', () => {
  for (const { text, place } of of('yaml', 'json'))
    expect([place, parseAllDocuments(text).flatMap(({ errors }) => errors)]).toEqual([place, []]);
});
test.each(of('mermaid'))('$place is a diagram', ({ text }) => {
  expect(text).toMatch(/^(flowchart|sequenceDiagram|stateDiagram-v2)\b/);
});
