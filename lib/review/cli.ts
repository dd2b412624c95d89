#!/usr/bin/env node
// The command of the package: `npx cdk8s-prefect review OLD NEW`.
import { parseArgs } from 'node:util';
import { Manifests } from '../kubernetes/manifests';
import { UpgradeClass } from './upgrade-finding';
import { UpgradeReview } from './upgrade-review';

const USAGE = `usage: cdk8s-prefect review OLD NEW [--format text|markdown|json] [--fail-on CLASS[,CLASS...]]

Says what applying the manifests of NEW over those of OLD will do. Each is a folder that cdk8s has written, or a file.

  --format   text (default), markdown or json
  --fail-on  end with 1 if there is a finding of one of these classes:
             ${Object.values(UpgradeClass).join(', ')}

exit code: 0; 1 by --fail-on; 2 if something cannot be read
`;

const FORMATS: ReadonlyMap<string, (review: UpgradeReview) => string> = new Map([
  ['text', (review) => review.toText()],
  ['markdown', (review) => review.toMarkdown()],
  ['json', (review) => `${JSON.stringify(review.toJson(), undefined, 2)}\n`],
]);

function main(args: string[]): number {
  const options = { format: { type: 'string' }, 'fail-on': { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [command, old, current, ...more] = positionals;
  if (command !== 'review' || old === undefined || current === undefined || more.length > 0) {
    throw new Error('give two folders or files: cdk8s-prefect review OLD NEW; see --help');
  }
  const render = FORMATS.get(values.format ?? 'text');
  if (render === undefined) throw new Error(`--format must be ${[...FORMATS.keys()].join(', ')}`);
  const classes = (values['fail-on'] ?? '').split(',').filter((name) => name !== '');
  const unknown = classes.find((name) => !(Object.values(UpgradeClass) as string[]).includes(name));
  if (unknown !== undefined)
    throw new Error(`--fail-on: there is no class ${unknown}; there are ${Object.values(UpgradeClass).join(', ')}`);
  const review = UpgradeReview.of(Manifests.read(old), Manifests.read(current));
  process.stdout.write(render(review));
  return review.findings().some(({ upgradeClass }) => classes.includes(upgradeClass)) ? 1 : 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`cdk8s-prefect: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
