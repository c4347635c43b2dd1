import { plainRow, type SplitRow, splitRow } from './extraColumns.js'
import { rawFields } from './rawFields.js'
import { RecordOrder } from './recordOrder.js'
import { type ChaosTable, nameOf } from './tables.js'

/** More of them say no more. */
const MAX_PROBLEMS = 20

/** What replaying came to for one table: rows by key, or how often each row stands there. */
export type ReplayedTable =
  | { readonly keyed: true; readonly rows: Map<string, SplitRow> }
  | { readonly keyed: false; readonly rows: Map<string, number> }

type Fields = ReadonlyMap<string, string>

/** Something that was asked of a run, and holds from this byte of the output on. */
export interface Turn {
  readonly offset: number
  readonly table: string
  /**
   * `removed`: it is captured no more. `leaving`: it will be captured no more. `added`: it is, and its rows come first. `again`: its rows come once more, while
   * its changes go on, so that what the consumer has of it may be ahead of what comes.
   */
  readonly what: 'removed' | 'leaving' | 'added' | 'again'
}

/**
 * Applies the lines of an output to empty tables, as a consumer would, and takes nothing on trust: an insert whose key is
 * there, an update of another row than the one before, a step back in the order, an id seen before, each is a problem.
 * A row is in the output as a snapshot row or by its changes, never by both: that shows in its versions. Values are compared as the text they stand in.
 */
export class Replay {
  readonly tables = new Map<string, ReplayedTable>()
  readonly problems: string[] = []
  readonly order: RecordOrder
  readonly #known: ReadonlyMap<string, ChaosTable>
  readonly #turns: Turn[]
  readonly #removed = new Set<string>()
  readonly #leaving = new Set<string>()
  readonly #again = new Set<string>()
  #lines = 0
  #offset = 0
  /** Journal rows that a message shall follow, and the transaction they are in. */
  readonly #announced = new Map<string, string>()
  /** The same of rows that were read, whose message comes if it was written later than the slot, and where. */
  readonly #readAnnounced = new Set<string>()
  readonly #unexplained = new Set<string>()

  constructor(tables: readonly ChaosTable[], turns: readonly Turn[]) {
    this.order = new RecordOrder((text) => this.#problem(text))
    this.#turns = [...turns].sort((a, b) => a.offset - b.offset)
    this.#known = new Map(tables.map((table) => [nameOf(table), table]))
    for (const table of tables) {
      const keyed = table.key.length > 0
      this.tables.set(nameOf(table), keyed ? { keyed, rows: new Map() } : { keyed, rows: new Map() })
    }
  }

  /** Whether the table is captured at the end. */
  captures(table: ChaosTable): boolean {
    return !this.#removed.has(nameOf(table)) && !this.#leaving.has(nameOf(table))
  }

  line(text: string): void {
    this.#lines++
    while (this.#turns.length > 0 && this.#turns[0]!.offset <= this.#offset) this.#turn(this.#turns.shift()!)
    this.#offset += Buffer.byteLength(text) + 1
    let record: { operation: string; schema: string; table: string; id: string }
    try {
      record = JSON.parse(text)
    } catch (error) {
      return this.#problem(`no JSON (${(error as Error).message}): ${text.slice(0, 300)}`)
    }
    const { operation, id } = record
    if (!this.order.record(operation, id)) return
    if (operation === 'schema') return
    const fields = rawFields(text)
    if (operation === 'message') return this.#message(fields)
    const name = nameOf({ schema: record.schema, name: record.table })
    const table = this.#known.get(name)
    if (table !== undefined && this.#leaving.has(name)) return
    if (table === undefined || this.#removed.has(name)) return this.#problem(`a record of ${name}`)
    if (operation === 'truncate') this.tables.get(name)!.rows.clear()
    else if (table.key.length === 0) this.#countRow(operation, name, fields)
    else this.#keepRow(operation, table, fields)
    if (name === 'public.journal') this.#journalRow(operation, fields)
  }

  /** After the last line. */
  end(): void {
    for (const turn of this.#turns.splice(0)) this.#turn(turn)
    for (const id of this.#announced.keys()) this.#problem(`no message announces journal row ${id}`)
    for (const id of this.#unexplained) this.#problem(`a message for journal row ${id}, not behind it`)
  }

  #turn({ table, what }: Turn): void {
    if (what === 'again') {
      this.#again.add(table)
      return
    }
    this.tables.get(table)!.rows.clear()
    if (what === 'removed') this.#removed.add(table)
    else if (what === 'leaving') this.#leaving.add(table)
    else {
      this.#removed.delete(table)
      this.#leaving.delete(table)
    }
    this.#again.delete(table)
  }

  #keepRow(operation: string, table: ChaosTable, fields: Fields): void {
    const { rows } = this.tables.get(nameOf(table)) as { rows: Map<string, SplitRow> }
    const { name, versioned, wholeOldRows } = table
    const isStrict = !this.#again.has(nameOf(table))
    const key = fields.get('"key"')!
    if (isStrict && wholeOldRows && (operation === 'update' || operation === 'delete')) {
      const before = rows.get(fields.get('"oldKey"') ?? key)?.fixed
      const told = fields.get('"before"')
      if (told === undefined || splitRow(told).fixed !== before) {
        this.#problem(`${name}: ${operation} of ${key} tells ${told} before, and there was ${before}`)
      }
    }
    if (operation === 'delete') {
      if (!rows.delete(key) && isStrict) this.#problem(`${name}: a delete of ${key}, which is not there`)
      return
    }
    const after = fields.get('"after"')!
    const unchanged = fields.get('"unchanged"')
    if (operation !== 'update') {
      if (isStrict && rows.has(key)) this.#problem(`${name}: a ${operation} of ${key}, which is there already`)
      if (unchanged !== undefined) this.#problem(`${name}: a ${operation} of ${key} without ${unchanged}`)
      rows.set(key, splitRow(after))
      return
    }
    const oldKey = fields.get('"oldKey"') ?? key
    const before = rows.get(oldKey)
    if (before === undefined) {
      if (isStrict || unchanged !== undefined) this.#problem(`${name}: an update of ${oldKey}, which is not there`)
      if (!isStrict) rows.set(key, splitRow(after))
      return
    }
    rows.delete(oldKey)
    if (isStrict && rows.has(key)) this.#problem(`${name}: an update of ${oldKey} to ${key}, which is there already`)
    const row = splitRow(unchanged !== undefined ? filled(after, before.fixed, unchanged) : after)
    rows.set(key, row)
    if (isStrict && versioned && versionOf(row) !== versionOf(before) + 1) {
      this.#problem(`${name}: ${key} goes from version ${versionOf(before)} to ${versionOf(row)}`)
    }
  }

  #countRow(operation: string, name: string, fields: Fields): void {
    const { rows } = this.tables.get(name) as { rows: Map<string, number> }
    const rowOf = (field: string) => plainRow(splitRow(fields.get(field)!))
    if (operation === 'update' || operation === 'delete') {
      const before = rowOf('"before"')
      const count = rows.get(before) ?? 0
      if (count === 0) this.#problem(`${name}: ${operation} of ${before}, which is not there`)
      else if (count === 1) rows.delete(before)
      else rows.set(before, count - 1)
    }
    if (operation === 'delete') return
    const after = rowOf('"after"')
    rows.set(after, (rows.get(after) ?? 0) + 1)
  }

  #journalRow(operation: string, fields: Fields): void {
    const { id, announced } = JSON.parse(fields.get('"after"')!) as { id: number; announced: boolean }
    if (!announced) return
    if (operation === 'create') this.#announced.set(String(id), fields.get('"lsn"')!)
    else if (!this.#unexplained.delete(String(id))) this.#readAnnounced.add(String(id))
  }

  #message(fields: Fields): void {
    const id = Buffer.from(JSON.parse(fields.get('"content"')!) as string, 'base64').toString()
    if (this.#announced.get(id) === fields.get('"lsn"')) this.#announced.delete(id)
    // Its row was left to those that are read, or is still to be read.
    else if (!this.#readAnnounced.delete(id)) this.#unexplained.add(id)
  }

  #problem(text: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(`line ${this.#lines}: ${text}`)
  }
}

function versionOf({ fixed }: SplitRow): number {
  return Number(/"version":(\d+)/.exec(fixed)![1])
}

/** The columns of `unchanged` from the row before, in their place. */
function filled(after: string, before: string, unchanged: string): string {
  const sent = rawFields(after)
  const kept = new Set((JSON.parse(unchanged) as string[]).map((name) => JSON.stringify(name)))
  const columns = [...rawFields(before)].map(([name, old]) => {
    const value = kept.has(name) ? old : sent.get(name)
    sent.delete(name)
    return `${name}:${value}`
  })
  return `{${[...columns, ...[...sent].map(([name, value]) => `${name}:${value}`)].join(',')}}`
}
