/** What can run SQL: a session of ours, or whatever a test wraps. Rows come as objects by column name. */
export interface Queryable {
  query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]>
}
