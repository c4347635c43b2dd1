import type pg from 'pg'
import { TABLES } from './workload.js'

const NAME = /^\{"type":"RECORD","record":\{"stream":"(\w+)"/
const CURSOR = /"_ab_cdc_lsn":(\d+)(?:\.(\d+))?,"_ab_cdc_updated_at"/
/** Digits behind the point, so many that no cursor has more. */
const DIGITS = 16
const SHOWN = 5

interface Entry {
  /** The LSN, and the place in the transaction, exactly as they were written. */
  readonly lsn: number
  readonly fraction: string
  /** Undefined: it was deleted. */
  readonly version: number | undefined
}

/** What came of one key. */
interface Known {
  readonly entries: Entry[]
  /** The newest of them by cursor; of the same cursor the later is the newer. */
  newest: Entry
  line: string
}

/**
 * What a destination has of all runs, and what it makes of that by key and cursor. It hears everything that came, or, where a
 * kill lost it on its way, only what stands before the last STATE.
 */
export class Ledger {
  /** Of each table and key all records, in the order in which they came. */
  #records = new Map<string, Map<string, Known>>()
  records = 0

  take(lines: readonly string[]): void {
    for (const line of lines) {
      const table = NAME.exec(line)?.[1]
      if (table === undefined) continue
      const { data } = JSON.parse(line).record
      const [, lsn, fraction = ''] = CURSOR.exec(line)!
      const key = JSON.stringify(
        TABLES[table]!.length === 0 ? [data.owner, data.n] : TABLES[table]!.map((k) => data[k]),
      )
      const version = data._ab_cdc_deleted_at === null ? Number(data.version ?? 0) : undefined
      const keys = this.#records.get(table) ?? new Map<string, Known>()
      this.#records.set(table, keys)
      const entry = { lsn: Number(lsn), fraction: fraction.padEnd(DIGITS, '0'), version }
      const known = keys.get(key)
      if (known === undefined) keys.set(key, { entries: [entry], newest: entry, line })
      else {
        known.entries.push(entry)
        if (compare(known.newest, entry) <= 0) Object.assign(known, { newest: entry, line })
      }
      this.records++
    }
  }

  /** The stream was reset: the destination drops what it has of it. */
  forget(table: string): void {
    this.#records.delete(table)
  }

  /** What is wrong: versions that go back, and what differs from the tables. */
  async problems(client: pg.Client): Promise<string[]> {
    const problems: string[] = []
    for (const [table, key] of Object.entries(TABLES)) {
      const keys = this.#records.get(table) ?? new Map<string, Known>()
      if (key.length > 0) problems.push(...backwards(table, keys))
      problems.push(...(await differences(client, table, key, keys)))
    }
    return problems
  }
}

/** Commits begin at multiples of eight, and rows that are read have a cursor between two of them. */
const isRead = ({ lsn }: Entry) => lsn % 8 !== 0

/**
 * A record with a greater cursor that tells of an older row: a delete undone, or an update. A row that is read may show what the
 * stream, which is behind, tells of later: so changes are compared with changes, and rows that are read with all before them.
 */
function backwards(table: string, keys: ReadonlyMap<string, Known>): string[] {
  const found: string[] = []
  for (const [key, { entries }] of keys) {
    const sorted = [...entries].sort(compare)
    const changes = { newest: -1, deleted: false }
    const all = { newest: -1, deleted: false }
    for (const entry of sorted) {
      const { version } = entry
      const before = isRead(entry) ? [all] : [all, changes]
      if (version === undefined) {
        for (const one of before) one.deleted = true
        continue
      }
      const { newest, deleted } = isRead(entry) ? all : changes
      if (version < newest || (deleted && version === newest)) {
        found.push(`${table} ${key}: version ${version} is behind ${newest}: ${sorted.map(told).join(', ')}`)
      }
      for (const one of before) {
        if (version > one.newest) one.deleted = false
        one.newest = Math.max(one.newest, version)
      }
    }
  }
  return some(found)
}

const told = ({ version, lsn, fraction }: Entry) => `${version ?? 'deleted'} at ${lsn}.${Number(fraction)}`

/** The rows by the ledger and by the server, compared by the server. */
async function differences(
  client: pg.Client,
  table: string,
  key: readonly string[],
  keys: ReadonlyMap<string, Known>,
): Promise<string[]> {
  const lines = [...keys.values()].flatMap(({ newest, line }) => (newest.version === undefined ? [] : [line]))
  await client.query(`DROP TABLE IF EXISTS folded; CREATE TEMP TABLE folded (LIKE public.${table})`)
  for (let at = 0; at < lines.length; at += 5000) {
    await client.query(
      `INSERT INTO folded SELECT (json_populate_record(NULL::public.${table}, line::json->'record'->'data')).*
         FROM unnest($1::text[]) AS line`,
      [lines.slice(at, at + 5000)],
    )
  }
  // Without a key each row may have come more than once.
  const except = key.length === 0 ? 'EXCEPT' : 'EXCEPT ALL'
  const { rows } = await client.query<{ what: string; row: string }>(`
    SELECT 'lacks' AS what, left(l::text, 200) AS row FROM (TABLE public.${table} ${except} TABLE folded) AS l
    UNION ALL SELECT 'has', left(h::text, 200) FROM (TABLE folded ${except} TABLE public.${table}) AS h`)
  return some(rows.map(({ what, row }) => `${table}: the ledger ${what} ${row}`))
}

/** By cursor. */
function compare(a: Entry, b: Entry): number {
  return a.lsn - b.lsn || (a.fraction < b.fraction ? -1 : a.fraction > b.fraction ? 1 : 0)
}

function some(found: readonly string[]): string[] {
  const more = found.length - SHOWN
  return more > 0 ? [...found.slice(0, SHOWN), `… and ${more} more like these`] : [...found]
}
