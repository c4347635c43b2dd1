import type pg from 'pg'
import { TABLES } from '../airbyte/workload.js'
import { type Happened, readHistory } from './history.js'

/** A record as the receiver got it. */
export interface Received {
  readonly operation: string
  readonly table: string
  readonly key?: Readonly<Record<string, unknown>>
  readonly oldKey?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly id: string
}

const SHOWN = 5

/** What a receiver makes of all that it got: of each id the first counts, and of a row that was read the last. */
export class Ledger {
  readonly #received: readonly Received[]

  constructor(received: readonly Received[]) {
    this.#received = received
  }

  /** What is wrong; `strictFrom`: everything that happened behind it must have come. */
  async problems(client: pg.Client, strictFrom: number): Promise<string[]> {
    const known = new Set<string>()
    const first = this.#received.filter(({ id, operation }) => {
      if (operation === 'snapshot') return true
      if (known.has(id)) return false
      known.add(id)
      return true
    })
    return [...outOfOrder(first, await readHistory(client), strictFrom), ...(await differences(client, first))]
  }
}

/**
 * Each key's changes beside what happened to it: they come in the order of the stream, and what happened since no rows were left to be
 * read is the end of them. What happened before that may show in a row alone, and come once more behind that row. A **late delete**
 * (that a row is gone, told behind later changes by a run that reads its table once more) is left out: what follows it must be right,
 * the row as it is, or changes later than all before.
 */
function outOfOrder(records: readonly Received[], history: Map<string, Happened[]>, strictFrom: number): string[] {
  const found: string[] = []
  const came = new Map<string, { readonly version: number | undefined; readonly id: string }[]>()
  const take = (of: string, version: number | undefined, id: string) => {
    const before = came.get(of)
    if (before === undefined) return void came.set(of, [{ version, id }])
    if (comparePlaces(before.at(-1)!.id, id) < 0) return void before.push({ version, id })
    if (version !== undefined) found.push(`${of}: ${id} comes behind ${before.at(-1)!.id}`)
  }
  const nameOf = (table: string, row: Readonly<Record<string, unknown>>) => {
    return `${table} ${TABLES[table]!.map((column) => row[column]).join(',')}`
  }
  for (const { operation, table, key, oldKey, after, id } of records) {
    if (key === undefined || operation === 'snapshot') continue
    if (oldKey !== undefined) take(nameOf(table, oldKey), undefined, id)
    take(nameOf(table, key), operation === 'delete' ? undefined : Number(after!.version), id)
  }
  for (const [of, happened] of history) {
    const expected = happened.filter(({ n }) => n > strictFrom).map(({ version }) => version ?? 'gone')
    if (expected.length === 0) continue
    const last = (came.get(of) ?? []).slice(-expected.length).map(({ version }) => version ?? 'gone')
    if (last.join() !== expected.join()) found.push(`${of}: ${last.join()} came, and it was ${expected.join()}`)
  }
  return some(found)
}

/** Ids of changes: `16/B374D848/3`. */
function comparePlaces(a: string, b: string): number {
  const [one, other] = [a, b].map((id) => {
    const [high, low, ...numbers] = id.split('/')
    return [Number.parseInt(high!, 16), Number.parseInt(low!, 16), ...numbers.map(Number)]
  }) as [number[], number[]]
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The rows by the receiver's records and by the server, compared by the server. */
async function differences(client: pg.Client, records: readonly Received[]): Promise<string[]> {
  const rows = fold(records)
  const found: string[] = []
  for (const [table, key] of Object.entries(TABLES)) {
    const lines = [...(rows.get(table)?.values() ?? [])].map((row) => JSON.stringify(row))
    await client.query(`DROP TABLE IF EXISTS folded; CREATE TEMP TABLE folded (LIKE public.${table})`)
    for (let at = 0; at < lines.length; at += 5000) {
      await client.query(
        `INSERT INTO folded SELECT (json_populate_record(NULL::public.${table}, line::json)).* FROM unnest($1::text[]) AS line`,
        [lines.slice(at, at + 5000)],
      )
    }
    // Without a key each row may have come more than once.
    const except = key.length === 0 ? 'EXCEPT' : 'EXCEPT ALL'
    const { rows: unlike } = await client.query<{ what: string; row: string }>(`
      SELECT 'lacks' AS what, left(l::text, 200) AS row FROM (TABLE public.${table} ${except} TABLE folded) AS l
      UNION ALL SELECT 'has', left(h::text, 200) FROM (TABLE folded ${except} TABLE public.${table}) AS h`)
    found.push(...unlike.map(({ what, row }) => `${table}: the receiver ${what} ${row}`))
  }
  return some(found)
}

type Row = Readonly<Record<string, unknown>>

function fold(records: readonly Received[]): Map<string, Map<string, Row>> {
  const tables = new Map<string, Map<string, Row>>()
  for (const { operation, table, key, oldKey, after, id } of records) {
    const rows = tables.get(table) ?? new Map<string, Row>()
    tables.set(table, rows)
    const place = key === undefined ? id : JSON.stringify(key)
    // What was not sent is as it was, under whatever key.
    const before = rows.get(oldKey === undefined ? place : JSON.stringify(oldKey))
    if (oldKey !== undefined) rows.delete(JSON.stringify(oldKey))
    if (operation === 'delete') rows.delete(place)
    else rows.set(place, operation === 'update' ? { ...before, ...after } : after!)
  }
  return tables
}

/** That the checks see what they are for. */
export async function unnoticed(
  received: readonly Received[],
  client: pg.Client,
  strictFrom: number,
): Promise<string[]> {
  const missed: string[] = []
  const seen = new Map<string, number>()
  const ids = new Set<string>()
  let pair: readonly [number, number] | undefined
  for (const [index, { id, operation, table, key }] of received.entries()) {
    if (operation !== 'update' || key === undefined || ids.has(id)) continue
    ids.add(id)
    const of = `${table} ${JSON.stringify(key)}`
    if (seen.has(of)) pair = [seen.get(of)!, index]
    seen.set(of, index)
  }
  if (pair === undefined) return ['no key has two updates']
  const [a, b] = pair
  const swapped = [...received]
  ;[swapped[a], swapped[b]] = [received[b]!, received[a]!]
  const lost = received.filter(({ id }) => id !== received[b]!.id)
  for (const [what, records] of [
    ['two changes of a key in the other order', swapped],
    ['a change less', lost],
  ] as const) {
    if ((await new Ledger(records).problems(client, strictFrom)).length === 0) missed.push(`nobody sees ${what}`)
  }
  await client.query(`BEGIN; UPDATE items SET v = 'x' WHERE id = (SELECT max(id) FROM items); TRUNCATE history`)
  const other = await differences(client, received)
  if (other.length === 0) missed.push('nobody sees another value')
  await client.query('ROLLBACK')
  return missed
}

function some(found: readonly string[]): string[] {
  const more = found.length - SHOWN
  return more > 0 ? [...found.slice(0, SHOWN), `… and ${more} more like these`] : [...found]
}
