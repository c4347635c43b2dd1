import { TARGET_KEY_NOT_BUILT } from '../core/destinationErrors.js'
import type { Position, PositionJson } from '../core/record.js'
import type { Table } from '../core/table.js'
import type { TailraceError } from '../core/tailraceError.js'
import type { IndexRow } from '../postgres/catalog/tablesSql.js'
import { type QualifiedName, quoteIdentifier, quoteLiteral, quoteQualified, sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { sqlstateOf } from '../postgres/serverError.js'
import { StreamPosition } from '../source/position.js'
import { isPassing, serverText } from './failure.js'
import type { ParsedDestination } from './options.js'
import { isRead, isSameReading, keyMayWait, type PendingKey, type TableReading } from './pendingKey.js'
import { findTargetTable, type TargetColumn, type TargetTable } from './targetTable.js'

/** What takes so long is told. */
const TELL_AFTER_MS = 1000
const DIVISION_BY_ZERO = '22012'

interface Row {
  readonly source: string
  readonly schema: string
  readonly name: string
  readonly relation: string
  readonly snapshot: string
  readonly columns: readonly number[]
}

const COLUMNS = 'source, schema, name, relation::pg_catalog.text AS relation, snapshot, columns'

type Options = Pick<ParsedDestination, 'checkpointSchema' | 'source' | 'keys' | 'mode' | 'onKey'>

/**
 * The keys that tables of ours are still to get, in the table `pending_key` beside the checkpoint: a row is written in the
 * transaction that makes its table, and deleted in the one that builds the key. Outlives sessions.
 */
export class PendingKeys {
  readonly #options: Options
  readonly #name: string
  /** Of this source, by name of the target's table in SQL's form. */
  readonly #keys = new Map<string, PendingKey>()
  #written: Position | undefined

  constructor(options: Options) {
    this.#options = options
    this.#name = quoteQualified(options.checkpointSchema, 'pending_key')
  }

  /** What runs before this one have left, which wrote up to `position`. */
  async open(queryable: Queryable, position: PositionJson | undefined): Promise<void> {
    this.#keys.clear()
    this.#written = position && StreamPosition.parse(position)
    const goesOn = this.#written instanceof StreamPosition && !this.#written.beginsAnew
    for (const row of await this.#rows(queryable, 'source = $1', [this.#options.source])) {
      const key = keyOfRow(row)
      // What is read by a run that begins anew was copied already, in part.
      this.#keys.set(sqlName(key), goesOn ? key : { ...key, reading: { ...key.reading, snapshot: '' } })
    }
  }

  has(target: string): boolean {
    return this.#keys.has(target)
  }

  /** The table's key is to come, and what was copied into it is not of this reading. */
  isOfAnother(target: string, reading: TableReading | undefined): boolean {
    const key = this.#keys.get(target)
    return key !== undefined && !isSameReading(key.reading, reading)
  }

  /** What was written so far. */
  wrote(position: Position): void {
    this.#written = position
  }

  /**
   * The statements that note that the table `name`, which is made behind them, gets its key later; undefined: it is to be made
   * with it. `columns`: of the key, as they will be numbered.
   */
  async noting(
    queryable: Queryable,
    name: QualifiedName,
    table: Table,
    reading: TableReading,
    columns: readonly number[],
  ): Promise<string[] | undefined> {
    if (!keyMayWait(table, this.#options)) return undefined
    const { checkpointSchema, source } = this.#options
    const [found] = await queryable.query<{ there: boolean; usable: boolean | null }>(
      `SELECT t.oid IS NOT NULL AS there,
              CASE WHEN t.oid IS NULL THEN pg_catalog.has_schema_privilege(n.oid, 'CREATE')
                   ELSE ${['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((one) => `pg_catalog.has_table_privilege(t.oid, '${one}')`).join(' AND ')}
              END AS usable
         FROM (SELECT pg_catalog.to_regclass($1)::pg_catalog.oid) AS t (oid),
              (SELECT pg_catalog.to_regnamespace($2)::pg_catalog.oid) AS n (oid)`,
      [this.#name, quoteIdentifier(checkpointSchema)],
    )
    if (found!.usable !== true) return undefined
    const values = [source, name.schema, name.name, `${reading.relation}`, reading.snapshot, `{${columns.join(',')}}`]
    return [
      ...(found!.there ? [] : [this.#creation]),
      `INSERT INTO ${this.#name} (source, schema, name, relation, snapshot, columns)
       SELECT ${values.map((value, i) => `${quoteLiteral(value)}::${TYPES[i]}`).join(', ')}
        WHERE pg_catalog.to_regclass(${quoteLiteral(sqlName(name))}) IS NULL
       ON CONFLICT (schema, name) DO UPDATE SET source = EXCLUDED.source, relation = EXCLUDED.relation,
         snapshot = EXCLUDED.snapshot, columns = EXCLUDED.columns, noted_at = EXCLUDED.noted_at`,
    ]
  }

  get #creation(): string {
    return `CREATE TABLE IF NOT EXISTS ${this.#name} (
              source text NOT NULL,
              schema text NOT NULL,
              name text NOT NULL,
              relation oid NOT NULL,
              snapshot text NOT NULL,
              columns int2[] NOT NULL,
              noted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
              PRIMARY KEY (schema, name)
            )`
  }

  /** The facts of a table as they are with the key that is to come. One that another source has to come is built at once. */
  async expected(queryable: Queryable, facts: TargetTable): Promise<TargetTable> {
    const target = sqlName(facts)
    if (facts.uniqueIndexes.some((index) => index.is_primary)) {
      // It may have been noted in a transaction that was rolled back.
      this.#keys.delete(target)
      return facts
    }
    const [row] = await this.#rows(queryable, 'schema = $1 AND name = $2', [facts.schema, facts.name])
    if (row === undefined) {
      this.#keys.delete(target)
      return facts
    }
    const key = keyOfRow(row)
    if (row.source !== this.#options.source) {
      await this.#build(queryable, key)
      return (await findTargetTable(queryable, facts)) ?? facts
    }
    // Else what it has now is of before this run.
    if (this.#keys.get(target)?.reading.snapshot !== '') this.#keys.set(target, key)
    const columns = columnsOf(key, facts)
    return columns === undefined ? facts : { ...facts, uniqueIndexes: [...facts.uniqueIndexes, toCome(facts, columns)] }
  }

  /** The table is empty, and this is copied into it from now on. Nothing where it was to be another of the source's tables. */
  async begins(queryable: Queryable, target: string, reading: TableReading): Promise<void> {
    const key = this.#keys.get(target)!
    if (key.reading.relation !== reading.relation) return
    await queryable.query(`UPDATE ${this.#name} SET snapshot = $4 WHERE source = $1 AND schema = $2 AND name = $3`, [
      this.#options.source,
      key.schema,
      key.name,
      reading.snapshot,
    ])
    this.#keys.set(target, { ...key, reading })
  }

  /** Builds the key of a table, which needs it now. */
  async build(queryable: Queryable, target: string): Promise<void> {
    const key = this.#keys.get(target)
    if (key === undefined) return
    await this.#build(queryable, key)
    this.#keys.delete(target)
  }

  /** Tables of which everything was read before `position`; without it before what was written last. */
  read(position = this.#written): string[] {
    if (!(position instanceof StreamPosition)) return []
    const read = [...this.#keys].filter(([, { reading }]) => isRead(reading, position.place))
    return read.map(([target]) => target)
  }

  async #build(queryable: Queryable, key: PendingKey): Promise<void> {
    const table = sqlName(key)
    const facts = await findTargetTable(queryable, key)
    const columns = facts && columnsOf(key, facts)
    // Somebody has dropped it, or has built the key.
    const isNeeded = columns !== undefined && !facts!.uniqueIndexes.some((index) => isOn(index, columns))
    const names = (columns ?? []).map(({ name }) => quoteIdentifier(name)).join(', ')
    const sql = `ALTER TABLE ${table} ADD PRIMARY KEY (${names})`
    const done = this.#telling(table)
    try {
      // One message is one transaction, if none is open.
      await queryable.query([this.#taking(key), ...(isNeeded ? [sql] : [])].join(';\n'))
    } catch (error) {
      if (isPassing(error)) throw error
      if (sqlstateOf(error) === DIVISION_BY_ZERO) return await wasBuilt(queryable, error)
      const facts = { table, key: names, problem: serverText(error as TailraceError), sqlstate: sqlstateOf(error), sql }
      throw TARGET_KEY_NOT_BUILT(facts, { cause: error })
    } finally {
      done()
    }
  }

  /** Divides by zero where the key is not to come any more: another writer has built it. */
  #taking({ schema, name }: PendingKey): string {
    return `WITH taken AS (DELETE FROM ${this.#name} WHERE schema = ${quoteLiteral(schema)} AND name = ${quoteLiteral(name)} RETURNING 1)
            SELECT 1 / pg_catalog.count(*) FROM taken`
  }

  #telling(table: string): () => void {
    const { onKey } = this.#options
    const since = performance.now()
    let told = false
    const timer = setTimeout(() => {
      told = true
      onKey?.({ type: 'key-building', table })
    }, TELL_AFTER_MS)
    return () => {
      clearTimeout(timer)
      if (told) onKey?.({ type: 'key-built', table, seconds: (performance.now() - since) / 1000 })
    }
  }

  async #rows(queryable: Queryable, where: string, values: readonly string[]): Promise<Row[]> {
    const [found] = await queryable.query<{ usable: boolean | null }>(
      `SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass($1), 'SELECT') AS usable`,
      [this.#name],
    )
    if (found!.usable !== true) return []
    return queryable.query<Row>(`SELECT ${COLUMNS} FROM ${this.#name} WHERE ${where}`, values)
  }
}

/** Of what a row is written with. */
const TYPES = ['text', 'text', 'text', 'oid', 'text', 'int2[]'].map((type) => `pg_catalog.${type}`)

function keyOfRow({ schema, name, relation, snapshot, columns }: Row): PendingKey {
  return { schema, name, reading: { relation: Number(relation), snapshot }, columns }
}

/** Undefined: one of them is gone. */
function columnsOf({ columns }: PendingKey, facts: TargetTable): TargetColumn[] | undefined {
  const all = [...facts.columns.values()]
  const found = columns.map((number) => all.find((column) => column.number === number))
  return found.every((column) => column !== undefined) ? found : undefined
}

function isOn(index: IndexRow, columns: readonly TargetColumn[]): boolean {
  return index.columns.length === columns.length && columns.every(({ name }) => index.columns.includes(name))
}

/** As the catalog will have it. */
function toCome({ oid }: TargetTable, columns: readonly TargetColumn[]): IndexRow {
  const is = {
    is_primary: true,
    is_identity: false,
    is_immediate: true,
    is_valid: true,
    is_whole: true,
    is_usual: true,
  }
  return { table: String(oid), name: '', ...is, columns: columns.map(({ name }) => name) }
}

/** Not where a transaction was open, which has failed with it. */
async function wasBuilt(queryable: Queryable, error: unknown): Promise<void> {
  await queryable.query('SELECT').catch(() => {
    throw error
  })
}
