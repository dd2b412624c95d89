import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { documented } from './assembly';
import { guides, root } from './documents';
import { phrases } from './phrases';
import { paragraphsOf, sentencesOf, wordsOf } from './prose';

const MAX_WORDS = 35;

/** What people read: documentation, and the code of the library with its comments and messages. */
const texts = execFileSync('git', ['ls-files', '*.md', 'lib', 'main.*', 'examples', 'bench', 'scripts'], { cwd: root, encoding: 'utf8' })
  .trim()
  .split('\n')
  .filter((path) => /\.(md|ts|py|mjs|cjs)$/.test(path) && !/^(API|CHANGELOG)\.md$|_embedded\.ts$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8').replace(/\s*\n\s*(?:\*|\/\/|#)?\s*/g, ' ') }));

test.each(Object.entries(phrases))('nothing says "%s": %s', (phrase) => {
  const pattern = new RegExp(`(?<![\\w-])${phrase.replace(/[.*+?^$()|[\]{}]/g, '\\$&')}(?![\\w-])`, 'i');
  expect(texts.filter(({ text }) => pattern.test(text)).map(({ path }) => path)).toEqual([]);
});

test.each(guides.map((guide) => ({ guide, path: guide.path })))(`no sentence of $path has more than ${MAX_WORDS} words`, ({ guide }) => {
  const sentences = paragraphsOf(guide.text).flatMap(sentencesOf);
  expect(sentences.filter((sentence) => wordsOf(sentence) > MAX_WORDS)).toEqual([]);
});

describe('the documentation of the API', () => {
  const docs = documented.map(({ path, docs: { summary = '', remarks = '' } }) => ({ path, summary, remarks }));

  test('every name has a summary', () => {
    expect(docs.filter(({ summary }) => summary.trim() === '').map(({ path }) => path)).toEqual([]);
  });

  // jsii takes what is before the first ";", "." or line break for the summary.
  test('every summary is a whole sentence', () => {
    const cut = docs.filter(({ summary, remarks }) => !/[.!?)]$/.test(summary) || /^[a-z]/.test(remarks));
    expect(cut.map(({ path, summary }) => `${path}: ${summary}`)).toEqual([]);
  });

  test(`no sentence has more than ${MAX_WORDS} words`, () => {
    const sentences = docs.flatMap(({ path, summary, remarks }) =>
      [summary, ...paragraphsOf(remarks)].flatMap(sentencesOf).map((sentence) => ({ path, sentence })),
    );
    expect(sentences.filter(({ sentence }) => wordsOf(sentence) > MAX_WORDS)).toEqual([]);
  });
});

// A figure that was measured has the symbol of its unit; a setting has its unit in words.
const FIGURE = /(?<![\w.])\d[\d.,]* ?(ms|s|MiB|%)(?![\w-])|\b\d+ findings\b|!\[/;
const COMMAND = /`[^`]*\b(npm (run|test)|node|kubectl)\b[^`]*`|```sh/;

describe('figures', () => {
  const sections = guides.flatMap(({ path, text }) => sectionsOf(text).map((section) => ({ path, section })));

  test('the documentation has some', () => {
    expect(sections.some(({ section }) => FIGURE.test(section))).toBe(true);
  });
  test('every section with a figure names the command that makes it', () => {
    const nameless = sections.filter(({ section }) => FIGURE.test(withoutCode(section)) && !COMMAND.test(section));
    expect(nameless.map(({ path, section }) => `${path}: ${FIGURE.exec(withoutCode(section))?.[0]} in ${section.split('\n')[0]}`)).toEqual(
      [],
    );
  });
});

/** What is between two headings; a `#` in a block of code begins none. */
function sectionsOf(markdown: string): string[] {
  const sections = [''];
  let inCode = false;
  for (const line of markdown.split('\n')) {
    if (/^ *```/.test(line)) inCode = !inCode;
    if (!inCode && /^#+ /.test(line)) sections.push('');
    sections[sections.length - 1] += `${line}\n`;
  }
  return sections;
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^ *```[\s\S]*?^ *```/gm, '').replace(/`[^`]*`/g, '');
}
