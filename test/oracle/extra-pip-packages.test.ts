import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { FlowJobTemplate } from '../../lib';
import fc from '../fast-check';
import { type Manifest, only, synth } from '../support';
import { Oracle } from './oracle';

const ENTRYPOINT = join(__dirname, '..', 'cluster', 'images', 'prefect', 'entrypoint.sh');

/** Where the entrypoint is started: a pattern of a generated text may find each of these. */
const FILES = ['a', 'b', 'pandas', 'b==1', 'a>=1', '*', ';', '-r', '~', 'a b', "'a'"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pip-'));
  for (const name of ['bin', 'files']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'bin', 'pip'), '#!/bin/bash\nprintf "%s\\0" "$@" > "$ARGUMENTS"\n', { mode: 0o755 });
  for (const name of FILES) writeFileSync(join(folder, 'files', name), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

const oracle = new Oracle();
afterAll(() => oracle.stop());

/** The arguments that pip gets from the image's entrypoint. */
function argumentsOfPip(packages: string): string[] {
  const output = join(folder, 'arguments');
  const env = { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, ARGUMENTS: output, EXTRA_PIP_PACKAGES: packages };
  execFileSync('bash', [ENTRYPOINT, 'true'], { env, cwd: join(folder, 'files') });
  return readFileSync(output, 'utf8').split('\0').slice(0, -1);
}

/** What the construct makes of the packages, or undefined if it refuses one of them. */
function rendered(extraPipPackages: string[]): string | undefined {
  try {
    const manifests = synth((chart) => new FlowJobTemplate(chart, 'Jobs', { extraPipPackages }));
    const job: Manifest = parse(only('ConfigMap', manifests).data['job.yaml']);
    const { env } = job.spec.template.spec.containers[0];
    return env.find(({ name }: Manifest) => name === 'EXTRA_PIP_PACKAGES').value;
  } catch (error) {
    if (!/extraPipPackages\[\d+\] must be a name with extras and versions/s.test((error as Error).message)) throw error;
    return undefined;
  }
}

const often = (weight: number, usual: string[], rare: string[]) =>
  fc.oneof({ weight, arbitrary: fc.constantFrom(...usual) }, fc.constantFrom(...rare));
const name = fc.stringMatching(/^[A-Za-z0-9]([-._A-Za-z0-9]{0,6}[A-Za-z0-9])?$/);
const extras = often(3, ['', '', '[s3]', '[aws,gcp]', '[a-b.c_D]'], ['[]', '[A,B', '[a,]', '[!a]', '[a-z]', '[a]b']);
const release = often(9, ['0', '1', '2.0', '2022.11.5', '01.02', 'v3.1', '1!2.0'], ['1.', '.5', '0!v1', '', '1..0']);
const suffixes = ['a1', '.b2', '-rc.3', 'rc', '.post4', '-5', 'post', '.dev6', '_alpha', 'preview7', '.r8', 'c', '+local.1', '.*'];
const suffix = often(9, ['', '', ...suffixes], ['.', '-', 'rc-', '+', '+a+b', '.**', 'final']);
const operator = often(9, ['==', '>=', '<=', '>', '<', '!=', '~='], ['===', '=', '=>', '']);
const specifiers = fc
  .array(
    fc.tuple(operator, release, suffix).map((parts) => parts.join('')),
    { maxLength: 2 },
  )
  .map((all) => all.join(','));
const requirement = fc.tuple(name, extras, specifiers).map((parts) => parts.join(''));

// What shells and pip read differently from what was meant.
const SPECIAL = [...' \t\n\r\v\f"\'`$\\*?[]{}()<>|&;#!~=,@%^:/+-._', '$(id)', '$IFS', '{a,b}', '&&', '\u00a0', '\u2028', 'ß', '😀'];
const spoiled = fc
  .tuple(requirement, fc.constantFrom(...SPECIAL), fc.nat({ max: 20 }))
  .map(([text, special, at]) => text.slice(0, at) + special + text.slice(at));
const other = fc.constantFrom(
  ...[
    '',
    ' ',
    '*',
    '?',
    '~',
    '~root',
    '-',
    '--',
    '.',
    './a',
    '/tmp',
    '$HOME',
    '-rfile',
    '-r file',
    '--pre',
    '-e .',
    '--index-url=http://x',
  ],
  ...['a >= 1', ' a', 'a ', 'a, b', '"a"', "'a>=1'", 'a;b', 'a; python_version < "3.9"', "a;python_version<'4'", 'a(>=1)', 'a (>=1)'],
  ...['a @ https://example.com/a.whl', 'a@https://example.com/a.whl', 'https://example.com/a.whl', 'git+https://example.com/a', 'a#egg=b'],
);
const text = fc.oneof(
  { weight: 5, arbitrary: requirement },
  { weight: 3, arbitrary: spoiled },
  { weight: 1, arbitrary: other },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }).filter((value) => !value.includes('\0')) },
);

/**
 * Requirements that would arrive, and are refused all the same: markers, URLs and `===`, whose texts may hold anything; and what
 * packaging lets pass beyond PEP 508 and 440: parentheses, empty extras, white space that the shell does not know, a comma or other punctuation at an end.
 */
const REFUSED_ANYWAY = /[;@(\s]|===|\[\]|,$|[-._](?![-._A-Za-z0-9*])/;

test('of generated texts, those that are accepted reach pip as they are and are requirements, and those that would not are refused', async () => {
  const accepted = new Set<string>();
  const refused = new Set<string>();
  const refusedAnyway = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), async (texts) => {
      const good = texts.filter((each) => rendered([each]) !== undefined);
      if (good.length > 0) {
        expect(argumentsOfPip(rendered(good) as string)).toEqual(['install', ...good]);
        expect(await oracle.ask({ requirements: good })).toEqual(good.map(() => true));
      }
      const bad = texts.filter((each) => !good.includes(each) && !refused.has(each));
      for (const each of bad) {
        expect(rendered([...good, each])).toBeUndefined();
        const arrives = each !== '' && JSON.stringify(argumentsOfPip(each)) === JSON.stringify(['install', each]);
        const [isRequirement] = await oracle.ask({ requirements: [each] });
        if (arrives && isRequirement) {
          expect(each).toMatch(REFUSED_ANYWAY);
          refusedAnyway.add(each);
        } else refused.add(each);
      }
      for (const each of good) accepted.add(each);
    }),
    { numRuns: 400 },
  );
  console.log(`accepted ${accepted.size}, refused ${refused.size}, and ${refusedAnyway.size} that would arrive`);
  expect(accepted.size).toBeGreaterThan(150);
  expect(refused.size).toBeGreaterThan(150);
});

test.each([
  ['pandas[s3]', 'pandas3'],
  ['pandas==1.*', 'pandas==1.5'],
])('a file in the working directory is taken for %s if it is named %s, and like that alone', (packages, file) => {
  expect(argumentsOfPip(packages)).toEqual(['install', packages]);
  writeFileSync(join(folder, 'files', file), '');
  try {
    expect(argumentsOfPip(packages)).toEqual(['install', file]);
  } finally {
    rmSync(join(folder, 'files', file));
  }
});
