import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, Parser } from 'commonmark';

export const root = join(__dirname, '../..');

/** Written by `npm run docs` and `npm run changelog`, of what is checked elsewhere. */
const GENERATED = ['API.md', 'CHANGELOG.md'];

/** A Markdown file of this repository. */
export class Document {
  readonly text: string;
  private readonly nodes: Node[] = [];

  constructor(readonly path: string) {
    this.text = readFileSync(join(root, path), 'utf8');
    const walker = new Parser().parse(this.text).walker();
    for (let event = walker.next(); event; event = walker.next()) if (event.entering) this.nodes.push(event.node);
  }

  /** Its fenced blocks, in their order. */
  get snippets(): Snippet[] {
    return this.nodes
      .filter(({ type }) => type === 'code_block')
      .map(({ info, literal, sourcepos }) => {
        const [language = '', ...rest] = (info ?? '').split(' ');
        const [[line]] = sourcepos;
        return { language, attributes: rest, text: literal ?? '', line, place: `${this.path}:${line}` };
      });
  }

  /** The blocks between a heading and the next. */
  under(title: string): { readonly snippets: Snippet[] } {
    const headings = this.nodes.filter(({ type }) => type === 'heading');
    const start = headings.findIndex((heading) => textOf(heading) === title);
    if (start === -1) throw new Error(`${this.path} has no heading ${title}`);
    const lineOf = (heading: Node | undefined) => heading?.sourcepos[0][0] ?? Number.POSITIVE_INFINITY;
    const [first, next] = [lineOf(headings[start]), lineOf(headings[start + 1])];
    return { snippets: this.snippets.filter(({ line }) => line > first && line < next) };
  }

  get links(): string[] {
    return this.nodes.filter(({ type }) => type === 'link' || type === 'image').map(({ destination }) => destination as string);
  }

  /** What `#...` may name, as GitHub makes it of the headings. */
  get anchors(): string[] {
    const headings = this.nodes.filter(({ type }) => type === 'heading').map(textOf);
    const explicit = [...this.text.matchAll(/<a [^>]*id="([^"]+)"/g)].map(([, id]) => id as string);
    return [
      ...headings.map((heading) =>
        heading
          .toLowerCase()
          .replace(/[^\p{L}\p{N}\s_-]/gu, '')
          .replaceAll(' ', '-'),
      ),
      ...explicit,
    ];
  }
}

/** A fenced block. */
export interface Snippet {
  readonly language: string;
  /** What follows the language: `nofixture` (of jsii-rosetta), `norun`, or the name of the file that a tutorial's reader writes. */
  readonly attributes: string[];
  readonly text: string;
  /** Its first line in the document. */
  readonly line: number;
  /** Where it is, for people. */
  readonly place: string;
}

function textOf(heading: Node): string {
  let text = '';
  const walker = heading.walker();
  for (let event = walker.next(); event; event = walker.next()) if (event.entering) text += event.node.literal ?? '';
  return text;
}

/** Every Markdown file of this repository, be it in git already or new. */
export const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((path) => existsSync(join(root, path)))
  .map((path) => new Document(path));

/** Those that users and contributors read to write code of their own. */
export const guides = documents.filter(({ path }) => !GENERATED.includes(path) && !path.startsWith('test/'));
