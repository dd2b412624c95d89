import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const lib = join(__dirname, '../lib');
const programs = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.py'))
  .sort();
const topics = [...new Set(programs.map((file) => file.split('/')[0] ?? ''))];

test('there are programs', () => {
  expect(topics.length).toBeGreaterThan(2);
});

test.each(topics)('the programs of lib/%s are embedded as they are: npm run generate', (topic) => {
  const embedded = require(join(lib, topic, '_embedded')).PROGRAMS;
  const files = programs.filter((file) => file.startsWith(`${topic}/`));
  expect(embedded).toEqual(Object.fromEntries(files.map((file) => [basename(file), readFileSync(join(lib, file), 'utf8')])));
});
