import { elsewhere } from './commands';
import type { Document } from './documents';

/** Documents whose commands a new user types one after another, in one folder: test/package/new-user.test.ts does. */
export const walkthroughs: string[][] = [['README.md'], ['docs/tutorial.md', 'docs/how-to/upgrade.md'], ['docs/how-to/python.md']];

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
export function stepsOf({ snippets }: Document): Step[] {
  return snippets.flatMap(({ language, attributes, text }): Step[] => {
    const file = attributes.find((attribute) => attribute.includes('.'));
    if (file !== undefined) return [{ file, text }];
    return language === 'sh' ? commandsOf(text).map((command) => ({ command })) : [];
  });
}
