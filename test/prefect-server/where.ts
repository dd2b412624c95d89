/**
 * Hasura's `where`, `order_by`, `limit` and `offset` over rows in memory. The schema says which columns may be asked for.
 * As in SQL, a comparison with NULL is never true.
 */
type Row = Readonly<Record<string, unknown>>;
type Condition = Readonly<Record<string, unknown>>;

export interface Selection {
  readonly where?: Condition | null;
  readonly order_by?: ReadonlyArray<Readonly<Record<string, 'asc' | 'desc'>>> | null;
  readonly limit?: number | null;
  readonly offset?: number | null;
}

export function select<T extends object>(rows: readonly T[], { where, order_by, limit, offset }: Selection): T[] {
  const selected = rows.filter((row) => matches(row as Row, where ?? {}));
  const orders = (order_by ?? []).flatMap((order) => Object.entries(order));
  selected.sort((a, b) => orders.reduce((result, [column, direction]) => result || compare(a as Row, b as Row, column, direction), 0));
  const start = offset ?? 0;
  return selected.slice(start, limit == null ? undefined : start + limit);
}

function matches(row: Row, where: Condition): boolean {
  return Object.entries(where).every(([key, condition]) => {
    if (key === '_or') return (condition as Condition[]).some((either) => matches(row, either));
    if (key === '_and') return (condition as Condition[]).every((each) => matches(row, each));
    const value = row[key];
    // a condition on an array relationship asks for one row at least
    if (Array.isArray(value)) return value.some((related) => matches(related, condition as Condition));
    return Object.entries(condition as Condition).every(([operator, operand]) =>
      operator.startsWith('_') ? holds(value, operator, operand) : matches(value as Row, { [operator]: operand }),
    );
  });
}

function holds(value: unknown, operator: string, operand: unknown): boolean {
  if (value == null || operand == null) return false;
  switch (operator) {
    case '_eq':
      return value === operand;
    case '_in':
      return (operand as unknown[]).includes(value);
    case '_lte':
      return value <= operand;
    case '_gt':
      return value > operand;
    case '_gte':
      return value >= operand;
    default:
      throw new Error(`the schema has the operator ${operator}, but it does nothing`);
  }
}

function compare(a: Row, b: Row, column: string, direction: 'asc' | 'desc'): number {
  const [left, right] = [a[column] as Date | string, b[column] as Date | string];
  const ascending = left < right ? -1 : left > right ? 1 : 0;
  return direction === 'asc' ? ascending : -ascending;
}
