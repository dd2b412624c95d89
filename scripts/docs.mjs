// Writes the documents that are made of the code and of what the tests run: node scripts/docs.mjs [FOLDER]
// `npm run compile` must have been run. A test holds what is in git against what this writes.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Documentation, Language } from 'jsii-docgen';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = process.argv[2] ?? root;
const read = (file) => readFileSync(join(root, file), 'utf8');
const { engines, peerDependencies, dependencies } = JSON.parse(read('package.json'));

write('API.md', await reference());
write('docs/compatibility.md', compatibility());

function write(file, text) {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

/** The reference, of the assembly that jsii made, with the oldest peers: node_modules has others too, for the CLI. */
async function reference() {
  const assemblies = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  try {
    for (const name of ['cdk8s-prefect', ...Object.keys({ ...peerDependencies, ...dependencies })]) {
      const from = name === 'cdk8s-prefect' ? root : join(root, 'node_modules', name);
      if (!existsSync(join(from, '.jsii'))) continue;
      for (const file of ['.jsii', 'package.json']) cpSync(join(from, file), join(assemblies, 'node_modules', name, file));
    }
    const documentation = await Documentation.forAssembly('cdk8s-prefect', assemblies);
    const markdown = await documentation.toMarkdown({ language: Language.TYPESCRIPT, readme: false });
    return markdown.render();
  } finally {
    rmSync(assemblies, { recursive: true });
  }
}

/** The versions that the tests run, from the files that they themselves take them from. */
function compatibility() {
  const pinned = (environment, name) => new RegExp(`^${name}==(.*)$`, 'm').exec(read(`scripts/python/${environment}.txt`))[1];
  const kubernetes = (minor) => /k8s.io\/kubernetes v(\S+)/.exec(read(`test/cluster/modules/kubernetes-${minor}/go.mod`))[1];
  const releases = JSON.parse(read('test/oracle/releases.json'));
  const { oldest, newest } = JSON.parse(read('test/package/peers.json'));
  const prefect = pinned('oracle', 'prefect');
  const dask = Object.entries(releases['dask-kubernetes']).map(([release, environment]) => {
    if (pinned(environment, 'dask-kubernetes') !== release)
      throw new Error(`${environment}.txt has another dask-kubernetes than ${release}`);
    const tested = environment === 'oracle' ? 'clusters run on Kubernetes' : 'what it makes of settings and templates';
    return [release, `${tested}; with dask ${pinned(environment, 'dask')}`];
  });
  const rows = [
    ['Prefect', prefect, 'agents, flows, command line and Jobs'],
    ['', releases.prefect.filter((release) => release !== prefect).join(', '), 'the Jobs that their agents make (`prefectVersion`)'],
    ['Kubernetes', kubernetes('1.37'), 'agents, flows and Dask clusters run on it; admission'],
    ['', kubernetes('1.27'), 'admission of every manifest'],
    ...dask.map((row, i) => [i === 0 ? 'dask-kubernetes' : '', ...row]),
    ...Object.entries(peerDependencies).flatMap(([name, range]) => [
      [name, oldest[name], `the oldest that \`${range}\` allows: installed, compiled, synthesized, in TypeScript and Python`],
      ['', newest[name], 'the same; the YAML of every example is byte for byte that of the oldest'],
    ]),
    ['Node', engines.node.replace('>= ', ''), 'or newer; for Python users too, whose package runs on it'],
  ];
  return [
    '# Compatibility',
    '',
    'What the tests of this release run, written by `npm run docs` from their own pins. Other versions in between are likely to do; what is',
    'not here was not tried.',
    '',
    '| | version | what is tested with it |',
    '| --- | --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  ].join('\n');
}
