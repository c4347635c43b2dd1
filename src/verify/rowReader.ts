import { VERIFY_KEY_UNUSABLE } from '../core/verifyErrors.js'
import type { KeyColumn } from '../postgres/catalog/keyColumns.js'
import { sqlName } from '../postgres/identifier.js'
import type { BucketSum } from './buckets.js'
import type { RowState } from './settling.js'
import type { Side, SideName } from './side.js'
import { type Hashing, type SideSql, sideSql, wantedKeys } from './sideSql.js'
import type { TablePair } from './tablePair.js'

/** What a side shows under one id. */
export interface SeenRow {
  /** Of what is compared. */
  readonly state: RowState
  /** Rows with this id: with a key more than one means that it is none. */
  readonly rows: number
  /** As they print, in the order of the pair's columns, where they were asked for; of several rows the first one's. */
  readonly values: readonly (string | null)[] | undefined
}

/** What is seen, by id: the JSON of the key's texts; without a key the row's hash. What is not there is not in it. */
export type SeenRows = ReadonlyMap<string, SeenRow>

/** A row that differs for certain, and what was seen of it. */
export interface FoundRow {
  readonly id: string
  readonly source: SeenRow | undefined
  readonly target: SeenRow | undefined
}

export interface LookOptions {
  /** Read the values, too. */
  readonly values?: boolean
  /** Lock the rows against other writers until the transaction ends. */
  readonly lock?: boolean
}

/** Keys in one query. */
const KEYS_AT_ONCE = 5000

interface RawRow {
  readonly hash: string
  readonly rows?: number
  readonly values?: string
  readonly [key: `k${number}`]: string | null
}

/** Reads one table of one side: checksums of all of it, the rows of some buckets, rows looked at again. */
export class RowReader {
  readonly pair: TablePair
  readonly side: Side
  readonly sql: SideSql
  readonly #keyed: boolean
  readonly #buckets: number
  readonly #bucket: string

  constructor(
    pair: TablePair,
    side: Side,
    options: { readonly hashing: Hashing; readonly keyColumns: readonly KeyColumn[]; readonly buckets: number },
  ) {
    this.pair = pair
    this.side = side
    this.sql = sideSql(pair, side.name, options)
    this.#keyed = pair.key.length > 0
    this.#buckets = options.buckets
    this.#bucket = bucketOf(this.sql.bucketHash, options.buckets)
  }

  get name(): SideName {
    return this.side.name
  }

  /**
   * One pass over the table, in whatever order and with as many workers as the server likes. Behind the OFFSET the planner
   * does not see that the bucket is made of a key: it would reckon with a group for each row, and so with one worker, in
   * three times the time. (It sees at once that such a constant leaves nothing out; `OFFSET 0` would cost the workers.)
   */
  async sums(): Promise<BucketSum[]> {
    const { from, rowHash } = this.sql
    const inner = this.#keyed ? `${this.#bucket} AS bucket, ${rowHash} AS h` : `${rowHash} AS h`
    const bucket = this.#keyed ? 'y.bucket' : bucketOf('y.h', this.#buckets)
    return this.side.query<{ bucket: number; rows: number; sum: string }>(
      `SELECT ${bucket} AS bucket, pg_catalog.count(*)::pg_catalog.float8 AS rows,
              pg_catalog.sum(y.h)::pg_catalog.text AS sum
         FROM (SELECT ${inner} FROM ${from} OFFSET '0'::pg_catalog.int8) AS y GROUP BY 1`,
    )
  }

  /** Every row of these buckets. */
  async rowsOf(buckets: readonly number[]): Promise<SeenRows> {
    const { from, rowHash } = this.sql
    const isWanted = `${this.#bucket} = ANY ($1::pg_catalog.int4[])`
    const sql = this.#keyed
      ? `SELECT ${this.#keySelect()}, ${rowHash}::pg_catalog.text AS hash FROM ${from} WHERE ${isWanted}`
      : `SELECT ${rowHash}::pg_catalog.text AS hash, pg_catalog.count(*)::pg_catalog.float8 AS rows
           FROM ${from} WHERE ${isWanted} GROUP BY 1`
    return this.#collect(await this.side.query<RawRow>(sql, [buckets]))
  }

  /** These rows, as they are now. */
  async look(ids: readonly string[], options: LookOptions = {}): Promise<SeenRows> {
    if (!this.#keyed) return this.#collect(await this.#lookByHash(ids, options))
    const found: RawRow[] = []
    for (let at = 0; at < ids.length; at += KEYS_AT_ONCE) {
      found.push(...(await this.#lookByKey(ids.slice(at, at + KEYS_AT_ONCE), options)))
    }
    return this.#collect(found)
  }

  #lookByKey(ids: readonly string[], { values, lock }: LookOptions): Promise<RawRow[]> {
    const { from, rowHash, printedRow, matches } = this.sql
    const keys = ids.map(keyOfId)
    const columns = this.pair.key.map((_, at) => keys.map((key) => key[at]))
    const matched = matches(this.pair.key.map((_, at) => `w.k${at}`))
    return this.side.query<RawRow>(
      `SELECT ${this.#keySelect()}, ${rowHash}::pg_catalog.text AS hash${values ? `, ${printedRow} AS values` : ''}
         FROM ${wantedKeys(columns.length)} JOIN ${from} ON ${matched}${lock ? ' FOR UPDATE OF t' : ''}`,
      columns,
    )
  }

  #lookByHash(ids: readonly string[], { values }: LookOptions): Promise<RawRow[]> {
    const { from, rowHash, printedRow } = this.sql
    return this.side.query<RawRow>(
      `SELECT ${rowHash}::pg_catalog.text AS hash, pg_catalog.count(*)::pg_catalog.float8 AS rows
              ${values ? `, pg_catalog.min(${printedRow}) AS values` : ''}
         FROM ${from} WHERE ${rowHash} = ANY ($1::pg_catalog.int8[]) GROUP BY 1`,
      [ids],
    )
  }

  #keySelect(): string {
    return this.sql.printedKey.map((sql, at) => `${sql} AS k${at}`).join(', ')
  }

  #collect(found: readonly RawRow[]): Map<string, SeenRow> {
    const seen = new Map<string, SeenRow>()
    for (const row of found) {
      const values = row.values === undefined ? undefined : (JSON.parse(row.values) as (string | null)[])
      if (!this.#keyed) {
        seen.set(row.hash, { state: String(row.rows), rows: row.rows!, values })
        continue
      }
      const key = this.pair.key.map((_, at) => row[`k${at}`]!)
      if (key.includes(null as never)) throw this.#keyUnusable('it has NULLs')
      const id = JSON.stringify(key)
      const other = seen.get(id)
      seen.set(id, other === undefined ? { state: row.hash, rows: 1, values } : both(other, row.hash))
    }
    return seen
  }

  #keyUnusable(problem: string) {
    const { pair, name } = this
    const key = pair.key.map((column) => column.name)
    return VERIFY_KEY_UNUSABLE({ table: sqlName(pair[name]), key, problem: `in the ${name} ${problem}` })
  }

  /** To be asked before a row is written by its key. */
  refuseSeveral(seen: SeenRows): void {
    const several = [...seen].find(([, { rows }]) => rows > 1)
    if (several !== undefined) throw this.#keyUnusable(`${several[1].rows} rows have ${several[0]}`)
  }
}

/** A key with a NULL has no hash. */
function bucketOf(hash: string, buckets: number): string {
  return `(coalesce(${hash}, 0) & ${buckets - 1})::pg_catalog.int4`
}

/** Rows that should not be: told apart from one row by all their hashes, in an order that both sides share. */
function both(other: SeenRow, hash: string): SeenRow {
  const states = [...other.state.split(' '), hash].sort()
  return { state: states.join(' '), rows: other.rows + 1, values: other.values }
}

/** The texts of the key that an id stands for. */
export function keyOfId(id: string): string[] {
  return JSON.parse(id) as string[]
}
