// Generates lib/fleet/fleet.schema.json, the shape of a fleet's file, from the props of its teams: node scripts/fleet-schema.mjs [OUTPUT]
// Where a prop has a value class, the file has the notation that lib/fleet/_fleet-notation.ts declares for it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createFormatter, createParser, createProgram, DEFAULT_CONFIG, NeverType, SchemaGenerator } from 'ts-json-schema-generator';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const notations = ['Duration', 'Size', 'Cpu', 'SecretKeyRef', 'ConfigMapKeyRef', 'PrefectApi', 'EnvFrom', 'EnvValue', 'Volume'];
const config = {
  ...DEFAULT_CONFIG,
  path: join(root, 'lib/fleet/_fleet-file.ts'),
  tsconfig: join(root, 'tsconfig.lib.json'),
  type: 'FleetFile',
  topRef: false,
  // npm run typecheck does.
  skipTypeCheck: true,
};

const program = createProgram(config);
const source = program.getSourceFile(join(root, 'lib/fleet/_fleet-notation.ts'));
const declarations = new Map(
  source.statements
    .filter((node) => ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node))
    .map((node) => [node.name.text, node]),
);

const parser = createParser(program, config, (chain) => {
  chain.addNodeParser({
    supportsNode: (node) => ts.isTypeReferenceNode(node) && notations.includes(node.typeName.getText()),
    createType: (node, context) => chain.createType(declarations.get(`${node.typeName.getText()}Notation`), context),
  });
  chain.addNodeParser({
    // A policy for Dask is a construct: a row says it as `dask`.
    supportsNode: (node) => ts.isTypeReferenceNode(node) && node.typeName.getText() === 'DaskWorkerPolicy',
    createType: () => new NeverType(),
  });
});
const schema = new SchemaGenerator(program, parser, createFormatter(config), config).createSchema(config.type);

for (const [name, definition] of Object.entries(schema.definitions)) {
  const notation = name.replace(/Notation$/, '');
  if (notations.includes(notation)) definition.notation = notation;
}
for (const definition of [schema, ...Object.values(schema.definitions)]) {
  describeDefaults(definition);
  allowNull(definition);
}

const $id = 'https://unpkg.com/cdk8s-prefect/build/lib/fleet/fleet.schema.json';
writeFileSync(process.argv[2] ?? join(root, 'lib/fleet/fleet.schema.json'), `${JSON.stringify({ $id, ...schema }, null, 2)}\n`);

/** Our defaults are said in words, and belong to the description. */
function describeDefaults({ properties = {} }) {
  for (const property of Object.values(properties)) {
    if (property.default === undefined) continue;
    property.description += ` Default: ${String(property.default).replace(/^- /, '')}.`;
    delete property.default;
  }
}

/** Null takes a default away, so whatever may be left out may be null. */
function allowNull(definition) {
  const { properties = {}, required = [], additionalProperties } = definition;
  for (const [name, property] of Object.entries(properties)) {
    allowNull(property);
    if (!required.includes(name)) properties[name] = orNull(property);
  }
  if (typeof additionalProperties === 'object') definition.additionalProperties = orNull(additionalProperties);
}

function orNull({ $ref, type, const: only, enum: members, ...rest }) {
  if ($ref) return { ...rest, anyOf: [{ $ref }, { type: 'null' }] };
  if (type === undefined) return rest;
  const values = only === undefined ? members : [only];
  return { type: [type, 'null'].flat(), ...(values && { enum: [...values, null] }), ...rest };
}
