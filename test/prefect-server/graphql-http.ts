/**
 * GraphQL over HTTP as Apollo Server 2 speaks it, which stands before Prefect: a request that does not fit the schema is answered 400, one
 * that fails while it is executed 200 with `errors`. Prefect's client raises different exceptions for the two.
 * @see PrefectHQ/server services/apollo/src/index.js
 * @see PrefectHQ/prefect src/prefect/client/client.py _send_request, graphql
 */
import { type DocumentNode, execute, type GraphQLError, type GraphQLSchema, Kind, parse, validate } from 'graphql';

export interface Request {
  readonly document: DocumentNode;
  readonly variables: Readonly<Record<string, unknown>>;
  /** The root field, or the root fields joined with `+`. */
  readonly operation: string;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly errors: readonly string[];
}

/** The request in a body, or the answer to a body that has none. */
export function readRequest(body: string): Request | Answer {
  try {
    const { query, variables } = JSON.parse(body);
    const document = parse(query);
    // the client sends the variables as a JSON string: json.dumps(variables)
    return {
      document,
      variables: (typeof variables === 'string' ? JSON.parse(variables) : variables) ?? {},
      operation: operationOf(document),
    };
  } catch (error) {
    return refusal('GRAPHQL_PARSE_FAILED', [error as Error]);
  }
}

export async function answer(schema: GraphQLSchema, rootValue: unknown, { document, variables: variableValues }: Request): Promise<Answer> {
  const invalid = validate(schema, document);
  if (invalid.length > 0) return refusal('GRAPHQL_VALIDATION_FAILED', invalid);
  const { data, errors = [] } = await execute({ schema, document, rootValue, variableValues });
  // variables that do not fit: nothing was executed
  if (data === undefined) return refusal('INTERNAL_SERVER_ERROR', errors);
  const body = { data, ...(errors.length > 0 && { errors: errors.map((error) => withCode(error, 'INTERNAL_SERVER_ERROR')) }) };
  return { status: 200, body: JSON.stringify(body), errors: errors.map(({ message }) => message) };
}

function refusal(code: string, errors: ReadonlyArray<Error | GraphQLError>): Answer {
  const body = JSON.stringify({ errors: errors.map((error) => withCode(error, code)) });
  return { status: 400, body, errors: errors.map(({ message }) => message) };
}

function withCode(error: Error | GraphQLError, code: string) {
  const { path, extensions } = error as Partial<GraphQLError>;
  return { message: error.message, path, extensions: { code, ...extensions } };
}

function operationOf(document: DocumentNode): string {
  const fields = document.definitions.flatMap((definition) =>
    definition.kind === Kind.OPERATION_DEFINITION ? definition.selectionSet.selections : [],
  );
  return fields.map((field) => (field.kind === Kind.FIELD ? field.name.value : field.kind)).join('+');
}
