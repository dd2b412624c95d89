import { elsewhere } from './commands';
import { Document } from './documents';

/** Documents whose commands a new user types one after another, in one folder: test/package/new-user.test.ts does. */
export const walkthroughs: string[][] = [
  ['docs/tutorial.md', 'docs/how-to/upgrade.md'],
  ['docs/how-to/python.md'],
  ['docs/how-to/test-your-chart.md'],
];

const readme = new Document('README.md');

/** The README's way to a chart of one's own, by language: the files that its reader saves, then the commands under that heading. */
export const chartsOfReadme = ['TypeScript', 'Python'].map((language) => ({
  language,
  steps: [...stepsOf(readme).filter((step) => 'file' in step), ...stepsOf(readme.under(language)).filter((step) => 'command' in step)],
}));

/** The README's commands for a fresh clone: .ci/run takes them out of it in the same way. */
export const commandsForClone = stepsOf(readme.under('Try it from a clone')).flatMap((step) => ('command' in step ? [step.command] : []));

/** The commands of a shell block: a line each. */
export function commandsOf(text: string): string[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*/, '').trim())
    .filter(Boolean);
}

export function isElsewhere(command: string): boolean {
  return elsewhere.some(({ command: pattern }) => pattern.test(command));
}

/** A step of a walkthrough: a file that its reader writes, or a command. */
export type Step = { readonly file: string; readonly text: string } | { readonly command: string };

/** What a document's reader does, in order. */
export function stepsOf({ snippets }: Pick<Document, 'snippets'>): Step[] {
  return snippets.flatMap(({ language, attributes, text }): Step[] => {
    const file = attributes.find((attribute) => attribute.includes('.'));
    if (file !== undefined) return [{ file, text }];
    return language === 'sh' ? commandsOf(text).map((command) => ({ command })) : [];
  });
}
