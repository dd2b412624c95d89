/** The schema of `schema.graphql` with its scalars, for either backend. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, extendSchema, type GraphQLScalarType, type GraphQLSchema, parse, type ValueNode, valueFromASTUntyped } from 'graphql';
import type { Backend } from './store';

/** Cloud alone tells the tenant of an API key. @see PrefectHQ/prefect src/prefect/client/client.py _get_auth_tenant */
const CLOUD = parse(`
  extend type Query { auth_info: auth_info_payload }
  type auth_info_payload { tenant_id: UUID }
`);

export function prefectSchema(backend: Backend): GraphQLSchema {
  const common = buildSchema(readFileSync(join(__dirname, 'schema.graphql'), 'utf8'));
  const schema = backend === 'cloud' ? extendSchema(common, CLOUD) : common;
  for (const name of ['UUID', 'uuid']) define(schema, name, parseUuid, (value) => value);
  for (const name of ['DateTime', 'timestamptz']) define(schema, name, parseTime, (value) => (value as Date).toISOString());
  return schema;
}

function define(
  schema: GraphQLSchema,
  name: string,
  parseValue: (value: unknown) => unknown,
  serialize: (value: unknown) => unknown,
): void {
  const parseLiteral = (node: ValueNode) => parseValue(valueFromASTUntyped(node));
  Object.assign(schema.getType(name) as GraphQLScalarType, { parseValue, parseLiteral, serialize });
}

function parseUuid(value: unknown): string {
  if (typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) return value.toLowerCase();
  throw new TypeError(`Could not parse UUID: ${value}`);
}

function parseTime(value: unknown): Date {
  const time = new Date(String(value));
  if (typeof value === 'string' && !Number.isNaN(time.getTime())) return time;
  throw new TypeError(`Could not parse time: ${value}`);
}
