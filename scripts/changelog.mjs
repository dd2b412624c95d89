// Writes CHANGELOG.md of the conventional commits: node scripts/changelog.mjs [release]
// What is in no release yet is called Unreleased; `npm version`, which makes one, says `release`.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const options = ['--preset', 'conventionalcommits', '--release-count', '0', '--output-unreleased', '--stdout'];
const sections = execFileSync('conventional-changelog', options, { encoding: 'utf8' });

const text = sections
  // A hash is of use to nobody who reads this, and not known before the commits are in their place.
  .replace(/ \(\[[0-9a-f]{7,}\]\([^)]*\)\)/g, '')
  .replaceAll(/^\* /gm, '- ')
  .replace(/\n{3,}/g, '\n\n')
  .replace(new RegExp(`^## .*${process.argv[2] === 'release' ? '$^' : version.replaceAll('.', '\\.')}.*`, 'm'), '## Unreleased');
writeFileSync(
  'CHANGELOG.md',
  `# Changelog\n\nWritten by \`npm run changelog\` of the commits; versions are [semantic](https://semver.org).\n\n${text.trim()}\n`,
);
