/** A command of the documentation that `npm run test:docs` does not run, and why not. */
interface Elsewhere {
  readonly command: RegExp;
  readonly reason: string;
}

export const elsewhere: Elsewhere[] = [
  { command: /^kubectl /, reason: 'needs a cluster; those of the tutorial are run by test/cluster/tutorial.test.ts' },
  {
    command: /^((\.venv\/bin\/)?prefect|export PREFECT__)/,
    reason: 'needs a Prefect API; those of the tutorial are run by test/cluster/tutorial.test.ts',
  },
  { command: /^(npm (ci|test|run )|npx cdk8s synth|eval "\$\(npm run )/, reason: 'of this repository, and run by .ci/run' },
  { command: /^npx (--no-install )?cdk8s-prefect review /, reason: 'reads manifests of its user; test/review/cli.test.ts runs it' },
];
