import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toPython } from './python.mjs';

/** A block of TypeScript, and the Python that was generated from it before. `ts nopython` has none. */
const BLOCK =
  /^```ts((?: (?!nopython)\S+)*)\n(?=import )([\s\S]*?)^```\n(?:\n<details>\n<summary>Python<\/summary>\n\n```python(?: norun)?\n[\s\S]*?^```\n\n<\/details>\n)?/gm;

/** The pages of docs/, by path, with the Python of each block of TypeScript below it. */
export function guidesWithPython(root) {
  const pages = readdirSync(join(root, 'docs'), { recursive: true })
    .filter((file) => file.endsWith('.md') && file !== 'compatibility.md')
    .map((file) => ({ path: join('docs', file), text: readFileSync(join(root, 'docs', file), 'utf8') }));
  const blocks = pages.flatMap(({ path, text }) => [...text.matchAll(BLOCK)].map(([, , source], i) => ({ source, place: `${path} ${i}` })));
  const python = toPython(root, blocks);
  return Object.fromEntries(
    pages
      .filter(({ text }) => text.match(BLOCK))
      .map(({ path, text }) => [
        path,
        text.replace(
          BLOCK,
          (_, attributes, source) =>
            `\`\`\`ts${attributes}\n${source}\`\`\`\n\n<details>\n<summary>Python</summary>\n\n\`\`\`python${attributes.includes('norun') ? ' norun' : ''}\n${python.shift()}\`\`\`\n\n</details>\n`,
        ),
      ]),
  );
}
