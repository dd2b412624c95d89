import { type Node, Parser } from 'commonmark';

/** The paragraphs of a Markdown text, without code blocks, tables and quotes. Inline code is one word. */
export function paragraphsOf(markdown: string): string[] {
  const found: string[] = [];
  const walker = new Parser().parse(markdown).walker();
  for (let event = walker.next(); event; event = walker.next()) {
    const { node } = event;
    if (event.entering && node.type === 'paragraph' && node.parent?.type !== 'block_quote') {
      const text = textOf(node);
      if (!text.startsWith('|')) found.push(text);
    }
  }
  return found;
}

/** A sentence ends with a full stop, question mark or exclamation mark before a space. */
export function sentencesOf(paragraph: string): string[] {
  return paragraph.split(/(?<=[.!?]["')]?)\s+(?=\S)/).filter((sentence) => sentence.trim() !== '');
}

export function wordsOf(sentence: string): number {
  return sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

function textOf(node: Node): string {
  let text = '';
  const walker = node.walker();
  for (let event = walker.next(); event; event = walker.next()) {
    if (!event.entering) continue;
    if (event.node.type === 'code') text += 'code';
    else if (event.node.type === 'softbreak' || event.node.type === 'linebreak') text += ' ';
    else text += event.node.literal ?? '';
  }
  return text.trim();
}
