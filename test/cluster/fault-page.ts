import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = join(__dirname, '../../docs/faults.md');

/** Holds a section of docs/faults.md to what was measured, or writes it where CDK8S_PREFECT_WRITE_DOCS says so. */
export function holdSection(heading: string, text: string): void {
  const sections = readFileSync(PAGE, 'utf8').split(/^(?=## )/m);
  const index = sections.findIndex((section) => section.startsWith(`## ${heading}\n`));
  if (index < 0) throw new Error(`${PAGE} has no section "${heading}"`);
  const section = `## ${heading}\n\n${text}\n\n`;
  if (process.env.CDK8S_PREFECT_WRITE_DOCS) writeFileSync(PAGE, sections.map((each, i) => (i === index ? section : each)).join(''));
  else expect(section).toBe(sections[index]);
}
