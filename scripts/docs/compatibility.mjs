/** docs/compatibility.md: the versions that the tests run, from the files that the tests themselves read. */
export function compatibility(read) {
  const { engines, peerDependencies } = JSON.parse(read('package.json'));
  const pinned = (environment, name) =>
    new RegExp(`^${name.replaceAll('-', '[-_]')}==(.*)$`, 'm').exec(read(`scripts/python/${environment}.txt`))[1];
  const kubernetes = (minor) => /k8s.io\/kubernetes v(\S+)/.exec(read(`test/cluster/modules/kubernetes-${minor}/go.mod`))[1];
  const releases = JSON.parse(read('test/oracle/releases.json'));
  const { oldest, newest } = JSON.parse(read('test/package/peers.json'));
  const prefect = pinned('oracle', 'prefect');
  const dask = Object.entries(releases['dask-kubernetes']).map(([release, environment]) => {
    if (pinned(environment, 'dask-kubernetes') !== release)
      throw new Error(`${environment}.txt has another dask-kubernetes than ${release}`);
    const tested = environment === 'oracle' ? 'clusters run on Kubernetes' : 'settings and templates are read by it';
    const others = ['dask', 'distributed', 'kubernetes', 'kubernetes-asyncio'].map((name) => `${name} ${pinned(environment, name)}`);
    return [release, `${tested}; with ${others.join(', ')} ([all pins](../scripts/python/${environment}.txt))`];
  });
  const rows = [
    ['Prefect', prefect, 'agents, flows, command line and Jobs'],
    ['', releases.prefect.filter((release) => release !== prefect).join(', '), 'the Jobs that their agents create (`prefectVersion`)'],
    [
      'Prefect Server',
      'none',
      'a [stand-in](../test/prefect-server/README.md) that follows its rules, for the operations that Prefect 1.4.1 sends',
    ],
    ['Prefect 3', releases.prefect3[0], 'the server and the worker: base job templates, their Jobs, and what registers them'],
    ['', releases.prefect3.slice(1).join(', '), 'the same: the oldest whose workers are supported; images of flow runs may be older'],
    ['prefect-kubernetes', pinned('prefect3', 'prefect-kubernetes'), 'the Jobs that its worker makes'],
    ['Kubernetes', kubernetes('1.37'), 'agents, flows and Dask clusters run on it; admission'],
    ['', kubernetes('1.27'), 'admission of every manifest'],
    ...dask.map((row, i) => [i === 0 ? 'dask-kubernetes' : '', ...row]),
    ...Object.entries(peerDependencies).flatMap(([name, range]) => [
      [name, oldest[name], `the oldest that \`${range}\` allows: installed, compiled, synthesized, in TypeScript and Python`],
      ['', newest[name], 'the same; the YAML of every example is byte for byte that of the oldest'],
    ]),
    ['Node', engines.node.replace('>= ', ''), 'or newer; Python users need it too, because jsii runs the library in Node'],
  ];
  return [
    '# Compatibility',
    '',
    '`npm run docs` writes this table from the versions that the tests run. Versions in between probably work. Other versions are untested.',
    '',
    '| | version | what is tested with it |',
    '| --- | --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    '## Next',
    '',
    '- [Upgrade](how-to/upgrade.md) the library, Prefect or Kubernetes',
    '- [Run flows on Dask](how-to/dask-flows.md)',
    '',
  ].join('\n');
}
