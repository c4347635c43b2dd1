import { type QualifiedName, quoteIdentifier, quoteLiteral, sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'

interface Row {
  readonly schema: string
  readonly table: string
  readonly column: string
  readonly sequence: string
  readonly descends: boolean
}

/** Sequences that integer columns of the tables own: of serial and identity columns. */
const SQL = `
SELECT n.nspname AS schema,
       c.relname AS table,
       a.attname AS column,
       q.seqrelid::pg_catalog.int8::pg_catalog.text AS sequence,
       q.seqincrement < 0 AS descends
  FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  JOIN pg_catalog.pg_depend d ON d.refobjid = c.oid AND d.deptype IN ('a', 'i')
   AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  JOIN pg_catalog.pg_sequence q ON q.seqrelid = d.objid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
   AND a.atttypid IN ('pg_catalog.int2'::pg_catalog.regtype, 'pg_catalog.int4'::pg_catalog.regtype, 'pg_catalog.int8'::pg_catalog.regtype)
 ORDER BY 1, 2, 3`

/**
 * Sets the sequences that columns of these tables own to the last of the columns' values, so that the next one is new;
 * never back, nor beyond their bounds. What else a sequence is for at the target should not draw from it meanwhile.
 */
async function moveSequences(queryable: Queryable, tables: readonly QualifiedName[]): Promise<void> {
  if (tables.length === 0) return
  const names = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)]
  for (const row of await queryable.query<Row>(SQL, names)) {
    const [last, isBehind] = row.descends ? ['min', '<'] : ['max', '>']
    const sequence = `${quoteLiteral(row.sequence)}::pg_catalog.oid`
    await queryable.query(
      `SELECT pg_catalog.setval(q.seqrelid, v.last)
         FROM (SELECT pg_catalog.${last}(${quoteIdentifier(row.column)})::pg_catalog.int8 AS last
                 FROM ${sqlName({ schema: row.schema, name: row.table })}) AS v
         JOIN pg_catalog.pg_sequence q ON q.seqrelid = ${sequence} AND v.last BETWEEN q.seqmin AND q.seqmax
        WHERE v.last ${isBehind} coalesce(pg_catalog.pg_sequence_last_value(q.seqrelid), v.last - pg_catalog.sign(q.seqincrement)::pg_catalog.int8)`,
    )
  }
}

const EVERY_MS = 60_000

/** Moves the sequences of tables that were written, now and then. */
export class SequenceMover {
  readonly #tables = new Map<string, QualifiedName>()
  #movedAt = performance.now()

  add(table: QualifiedName): void {
    this.#tables.set(sqlName(table), table)
  }

  get tables(): readonly string[] {
    return [...this.#tables.keys()]
  }

  /** Rows were written since they were moved. */
  get isPending(): boolean {
    return this.#isPending
  }
  #isPending = false

  /** A batch was written, and is committed or not; true: it is time. */
  isDueAfter(committed: boolean): boolean {
    this.#isPending = true
    return committed && performance.now() - this.#movedAt > EVERY_MS
  }

  async move(queryable: Queryable): Promise<void> {
    await moveSequences(queryable, [...this.#tables.values()])
    this.#movedAt = performance.now()
    this.#isPending = false
  }
}
