import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toPython } from './python.mjs';

/** API.md, from the assembly that jsii wrote: each prop once, at the interface that declares it. */
export function reference(root) {
  const { types } = JSON.parse(readFileSync(join(root, '.jsii'), 'utf8'));
  const all = Object.values(types).sort((a, b) => a.name.localeCompare(b.name));
  const isConstruct = (type) => type?.base === 'constructs.Construct' || (type?.base !== undefined && isConstruct(types[type.base]));
  const groups = {
    Constructs: all.filter((type) => type.kind === 'class' && isConstruct(type)),
    'Other classes': all.filter((type) => type.kind === 'class' && !isConstruct(type)),
    Props: all.filter((type) => type.kind === 'interface'),
    Enums: all.filter((type) => type.kind === 'enum'),
  };
  const examples = examplesOf(root, all);

  return `${[
    '# API reference',
    '',
    `\`npm run docs\` writes this page from the doc comments in \`lib/\`. Names are those of TypeScript. In Python, props are keyword arguments in`,
    'snake case: `flowNamespace` is `flow_namespace` ([Write charts in Python](docs/how-to/python.md)). In the examples, `chart` is a `Chart` of cdk8s, `app` its',
    '`App`, and `api` a [`PrefectApi`](#prefectapi).',
    '',
    '## Contents',
    '',
    ...Object.entries(groups).map(
      ([title, members]) => `- [${title}](#${anchor(title)}): ${members.map(({ name }) => link(name)).join(', ')}`,
    ),
    ...Object.entries(groups).flatMap(([title, members]) => ['', `## ${title}`, ...members.flatMap(section)]),
    '',
    '## Next',
    '',
    '- [Documentation](docs/README.md): tutorial, how-to guides, background',
    '- [Examples](examples/README.md): complete apps in TypeScript and Python',
  ].join('\n')}\n`;

  function section(type) {
    return [
      '',
      `### ${type.name}`,
      '',
      ...prose(type.docs),
      ...(examples[type.fqn] ?? []),
      ...{ class: classBody, interface: structBody, enum: enumBody }[type.kind](type),
    ];
  }

  function classBody({ name, base, initializer, properties = [], methods = [] }) {
    const given = initializer ? [`\`\`\`ts\nnew ${name}(${signature(initializer.parameters)})\n\`\`\``] : [];
    const parent = base ? [`Extends ${types[base] ? link(types[base].name) : `\`${base}\``}.`] : [];
    return [
      ...[...parent, ...given].flatMap((line) => ['', line]),
      ...parameters(initializer?.parameters),
      ...members([...methods.map((method) => ({ ...method, isMethod: true })), ...properties]),
    ];
  }

  function structBody({ interfaces = [], properties = [] }) {
    const parents = interfaces.map((fqn) => (types[fqn] ? link(types[fqn].name) : `\`${fqn}\``));
    return [
      ...(parents.length > 0 ? ['', `Has all props of ${parents.join(', ')}${properties.length > 0 ? ', and these:' : '.'}`] : []),
      ...members(properties),
    ];
  }

  function enumBody({ members = [] }) {
    return ['', '| member | |', '| --- | --- |', ...members.map(({ name, docs }) => `| \`${name}\` | ${cell(prose(docs))} |`)];
  }

  function members(list) {
    return list.flatMap((member) => [
      '',
      `#### ${member.name}`,
      '',
      member.isMethod
        ? `\`${member.static ? 'static ' : ''}${member.name}(${signature(member.parameters)}): ${member.returns ? plain(member.returns.type) : 'void'}\``
        : `${typeOf(member)}${member.optional ? ', optional' : ''}`,
      '',
      ...prose(member.docs),
      ...parameters(member.parameters),
    ]);
  }

  function parameters(list = []) {
    const told = list.filter(({ docs }) => docs?.summary);
    return told.length === 0
      ? []
      : ['', ...told.map((parameter) => `- \`${parameter.name}\`, ${typeOf(parameter)}: ${cell(prose(parameter.docs))}`)];
  }

  function signature(list = []) {
    return list.map(({ name, type, optional }) => `${name}${optional ? '?' : ''}: ${plain(type)}`).join(', ');
  }

  function typeOf({ type }) {
    const own = fqnsOf(type).filter((fqn) => types[fqn]);
    return `\`${plain(type)}\`${own.length > 0 ? ` (${own.map((fqn) => link(types[fqn].name)).join(', ')})` : ''}`;
  }

  function link(name) {
    return `[\`${name}\`](#${anchor(name)})`;
  }

  function prose({ summary, remarks, returns, default: value, see, custom = {} } = {}) {
    const lines = [
      [summary, remarks].filter(Boolean).join(/^\w|^`/.test(remarks ?? '') ? ' ' : '\n\n'),
      returns && `Returns ${returns}`,
      value !== undefined && `Default: ${value.startsWith('- ') ? value.slice(2) : `\`${value}\``}`,
    ];
    return [...lines, custom.throws && `Throws ${custom.throws}`, see && `See <${see}>.`]
      .filter(Boolean)
      .flatMap((line, i) => (i === 0 ? [line.trim()] : ['', line.trim()]));
  }
}

const anchor = (title) =>
  title
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');
const cell = (lines) => lines.join(' ').replaceAll('\n', ' ').replaceAll('|', '\\|').replace(/ +/g, ' ');

function plain(type) {
  if (type.primitive) return type.primitive === 'json' ? 'object' : type.primitive;
  if (type.fqn) return type.fqn.split('.').at(-1);
  if (type.union) return type.union.types.map(plain).join(' | ');
  const element = plain(type.collection.elementtype);
  return type.collection.kind === 'array' ? `${element}[]` : `{ [key: string]: ${element} }`;
}

function fqnsOf(type) {
  if (type.fqn) return [type.fqn];
  return type.collection ? fqnsOf(type.collection.elementtype) : [];
}

/** The example of each type, in both languages, with the imports of what it names. */
function examplesOf(root, types) {
  const fixture = readFileSync(join(root, 'rosetta/default.ts-fixture'), 'utf8');
  const [before, after] = fixture.split('/// here');
  const imports = [...before.matchAll(/^import \{([^}]*)\} from '([^']+)';$/gm)].map(([, names, module]) => ({
    module,
    names: names
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  }));
  const declarations = before.slice(before.indexOf('declare const'));
  const told = types
    .filter(({ docs }) => docs?.example)
    .map(({ fqn, docs: { example } }) => {
      const used = imports
        .map(({ module, names }) => ({ module, names: names.filter((name) => new RegExp(`\\b${name}\\b`).test(example)) }))
        .filter(({ names }) => names.length > 0);
      const lines = used.map(({ module, names }) => `import { ${names.join(', ')} } from '${module}';`);
      const hidden = imports.map(({ module, names }) => ({
        module,
        names: names.filter((name) => !used.some((other) => other.module === module && other.names.includes(name))),
      }));
      const others = hidden.map(({ module, names }) => `import { ${names.join(', ')} } from '${module}';`);
      const visible = `${lines.join('\n')}\n\n`;
      return {
        fqn,
        shown: `${visible}${example}`,
        place: fqn,
        source: `/// !hide\n${others.join('\n')}\n/// !show\n${visible}/// !hide\n${declarations}\n/// !show\n${example}\n/// !hide\n${after}`,
      };
    });
  const python = toPython(root, told);
  return Object.fromEntries(
    told.map(({ fqn, shown }, i) => [
      fqn,
      ['', '```ts', shown, '```', '', '<details>', '<summary>Python</summary>', '', '```python', python[i].trim(), '```', '', '</details>'],
    ]),
  );
}
