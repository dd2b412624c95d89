import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { documented } from './assembly';
import { Document, documents, root } from './documents';

const isOutside = (link: string) => /^[a-z]+:/.test(link);
const relative = documents.flatMap(({ path, links }) => links.filter((link) => !isOutside(link)).map((link) => ({ path, link })));

test('every link within the repository leads somewhere', () => {
  expect(relative.length).toBeGreaterThan(20);
  expect(relative.filter(({ path, link }) => !leads(path, link))).toEqual([]);
});

test('links out of the repository are those of the list', () => {
  const inDocuments = documents.filter(({ path }) => path !== 'API.md').flatMap(({ links }) => links.filter(isOutside));
  const inCode = documented.flatMap(({ docs }) => (docs.see === undefined ? [] : [docs.see]));
  expect([...new Set([...inDocuments, ...inCode])].sort()).toMatchSnapshot();
});

function leads(path: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? path : normalize(join(dirname(path), decodeURI(file)));
  if (!existsSync(join(root, target))) return false;
  if (anchor === undefined) return true;
  const lines = /^L(\d+)/.exec(anchor);
  if (lines) return Number(lines[1]) <= readFileSync(join(root, target), 'utf8').split('\n').length;
  return new Document(target).anchors.includes(decodeURI(anchor));
}
