/** A record that was put aside. */
export interface DeadLetterRow {
  /** The record's. */
  readonly id: string
  /** The table that it was for. */
  readonly target: string
  readonly sqlstate: string | undefined
  readonly problem: string
  /** One line of JSON. */
  readonly record: string
}

/** Makes the table `name` (in SQL's form) where it is missing. `number` is in the order of writing. */
export function createDeadLettersSql(name: string): string {
  return `CREATE TABLE IF NOT EXISTS ${name} (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT pg_catalog.now(),
            source text NOT NULL,
            id text NOT NULL,
            target text NOT NULL,
            sqlstate text,
            problem text NOT NULL,
            record json NOT NULL
          )`
}
