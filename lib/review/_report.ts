import { withoutKeys } from '../kubernetes/_secrets';
import type { Effects } from './_effects';
import type { Finding } from './_finding';
import { UpgradeClass } from './upgrade-finding';

const DRIFT = 'The review compares manifests, not the cluster. `kubectl diff` shows changes made by hand.';
const MARKDOWN_LIMIT = 60_000;

const spell = (upgradeClass: string): string => upgradeClass.replaceAll('-', ' ');

/** Names come from manifests. They must not move the cursor or reverse the text of a terminal. */
const clean = (text: string): string => withoutKeys(text).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');

const way = ({ applyMode }: Finding): string => (applyMode === undefined ? '' : ` (${applyMode} apply only)`);

export function renderJson({ findings, ...counts }: Effects): { [key: string]: unknown } {
  const worst = findings[0]?.upgradeClass ?? UpgradeClass.HARMLESS;
  return { version: 1, summary: { worst, ...counts }, findings: JSON.parse(withoutKeys(JSON.stringify(findings))) };
}

function summary({ findings, changed, added, removed, harmless, knownSecrets }: Effects): string {
  const worst = findings[0]?.upgradeClass ?? UpgradeClass.HARMLESS;
  const counts = `${changed} ${changed === 1 ? 'object' : 'objects'} changed, ${added} added, ${removed} removed; ${harmless} of the changes harmless.`;
  const known = knownSecrets > 0 ? ` Secrets in clear that were there before: ${knownSecrets}.` : '';
  return `Worst: ${spell(worst)}. ${counts}${known}`;
}

export function renderText(effects: Effects): string {
  const width = Math.max(0, ...effects.findings.map(({ upgradeClass }) => upgradeClass.length));
  const lines = effects.findings.flatMap((finding) => {
    const { upgradeClass, object, path, reason, remedy } = finding;
    const indent = ' '.repeat(width + 2);
    return [
      `${spell(upgradeClass).padEnd(width)}  ${clean(object)}${way(finding)}`,
      `${indent}${clean(path === undefined || reason.startsWith(path) ? reason : `${path}: ${reason}`)}`,
      ...(remedy === undefined ? [] : [`${indent}do: ${clean(remedy)}`]),
    ];
  });
  return [summary(effects), '', ...lines, ...(lines.length > 0 ? [''] : []), DRIFT, ''].join('\n');
}

/** Escapes the text of a table cell, because names could contain HTML, links or mentions. */
const cell = (text: string): string => clean(text).replace(/[\\`*_{}[\]<>()#+!|~&@]/g, (character) => `&#${character.charCodeAt(0)};`);
/** Code in a table cell, where only the backtick and the bar are special. */
const code = (text: string): string => `<code>${cell(text)}</code>`;

export function renderMarkdown(effects: Effects): string {
  const head = ['### Upgrade review', '', summary(effects), '', '| effect | object | why | what to do |', '| --- | --- | --- | --- |'];
  const rows = effects.findings.map((finding) => {
    const { upgradeClass, object, path, reason, remedy } = finding;
    const why = `${path === undefined || reason.startsWith(path) ? '' : `${code(path)}: `}${cell(reason)}`;
    return `| **${spell(upgradeClass)}**${way(finding)} | ${code(object)} | ${why} | ${remedy === undefined ? '' : code(remedy)} |`;
  });
  const kept: string[] = [];
  let length = head.join('\n').length + DRIFT.length;
  for (const row of rows) {
    length += row.length + 1;
    if (length > MARKDOWN_LIMIT) break;
    kept.push(row);
  }
  const rest = rows.length - kept.length;
  const table = rows.length === 0 ? head.slice(0, 3) : [...head, ...kept];
  return [
    ...table,
    ...(rest > 0 ? ['', `${rest} more findings are not shown here. Use \`--format text\` for all.`] : []),
    '',
    DRIFT,
    '',
  ].join('\n');
}
