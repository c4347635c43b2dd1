import { rawFields } from './rawFields.js'
import { RecordOrder } from './recordOrder.js'
import { type ChaosTable, nameOf } from './tables.js'

/** More of them say no more. */
const MAX_PROBLEMS = 20

/** What replaying came to for one table: rows by key, or how often each row stands there. */
export type ReplayedTable =
  | { readonly keyed: true; readonly rows: Map<string, string> }
  | { readonly keyed: false; readonly rows: Map<string, number> }

type Fields = ReadonlyMap<string, string>

/**
 * Applies the lines of an output to empty tables, as a consumer would, and takes nothing on trust: an insert whose key is
 * there, an update of another row than the one before, a gap or a step back in the order, an id seen before, each is a
 * problem. Values are compared as the text they stand in.
 */
export class Replay {
  readonly tables = new Map<string, ReplayedTable>()
  readonly problems: string[] = []
  readonly order = new RecordOrder((text) => this.#problem(text))
  readonly #known: ReadonlyMap<string, ChaosTable>
  #lines = 0
  /** Journal rows that a message shall follow, and the transaction they are in. */
  readonly #announced = new Map<string, string>()

  constructor(tables: readonly ChaosTable[]) {
    this.#known = new Map(tables.map((table) => [nameOf(table), table]))
    for (const table of tables) {
      const keyed = table.key.length > 0
      this.tables.set(nameOf(table), keyed ? { keyed, rows: new Map() } : { keyed, rows: new Map() })
    }
  }

  line(text: string): void {
    this.#lines++
    let record: { operation: string; schema: string; table: string; id: string }
    try {
      record = JSON.parse(text)
    } catch (error) {
      return this.#problem(`no JSON (${(error as Error).message}): ${text.slice(0, 300)}`)
    }
    const { operation, id } = record
    if (!this.order.record(operation, id)) return
    const fields = rawFields(text)
    if (operation === 'message') return this.#message(fields)
    const name = nameOf({ schema: record.schema, name: record.table })
    const table = this.#known.get(name)
    if (table === undefined) return this.#problem(`a record of ${name}`)
    if (operation === 'truncate') this.tables.get(name)!.rows.clear()
    else if (table.key.length === 0) this.#countRow(operation, name, fields)
    else this.#keepRow(operation, table, fields)
    if (name === 'public.journal' && operation === 'create') this.#journalRow(fields)
  }

  /** After the last line. */
  end(): void {
    for (const id of this.#announced.keys()) this.#problem(`no message announces journal row ${id}`)
  }

  #keepRow(operation: string, table: ChaosTable, fields: Fields): void {
    const { rows } = this.tables.get(nameOf(table)) as { rows: Map<string, string> }
    const { name, versioned, wholeOldRows } = table
    const key = fields.get('"key"')!
    if (wholeOldRows && (operation === 'update' || operation === 'delete')) {
      const before = rows.get(fields.get('"oldKey"') ?? key)
      if (fields.get('"before"') !== before) {
        this.#problem(`${name}: ${operation} of ${key} tells ${fields.get('"before"')} before, and there was ${before}`)
      }
    }
    if (operation === 'delete') {
      if (!rows.delete(key)) this.#problem(`${name}: a delete of ${key}, which is not there`)
      return
    }
    const after = fields.get('"after"')!
    if (operation !== 'update') {
      if (rows.has(key)) this.#problem(`${name}: a ${operation} of ${key}, which is there already`)
      rows.set(key, after)
      return
    }
    const oldKey = fields.get('"oldKey"') ?? key
    const before = rows.get(oldKey)
    if (before === undefined) return this.#problem(`${name}: an update of ${oldKey}, which is not there`)
    rows.delete(oldKey)
    if (rows.has(key)) this.#problem(`${name}: an update of ${oldKey} to ${key}, which is there already`)
    const row = fields.has('"unchanged"') ? filled(after, before, fields.get('"unchanged"')!) : after
    rows.set(key, row)
    if (versioned && versionOf(row) !== versionOf(before) + 1) {
      this.#problem(`${name}: ${key} goes from version ${versionOf(before)} to ${versionOf(row)}`)
    }
  }

  #countRow(operation: string, name: string, fields: Fields): void {
    const { rows } = this.tables.get(name) as { rows: Map<string, number> }
    const before = fields.get('"before"')
    const after = fields.get('"after"')
    if (operation === 'update' || operation === 'delete') {
      const count = rows.get(before!) ?? 0
      if (count === 0) this.#problem(`${name}: ${operation} of ${before}, which is not there`)
      else if (count === 1) rows.delete(before!)
      else rows.set(before!, count - 1)
    }
    if (operation !== 'delete') rows.set(after!, (rows.get(after!) ?? 0) + 1)
  }

  #journalRow(fields: Fields): void {
    const { id, announced } = JSON.parse(fields.get('"after"')!) as { id: number; announced: boolean }
    if (announced) this.#announced.set(String(id), fields.get('"lsn"')!)
  }

  #message(fields: Fields): void {
    const id = Buffer.from(JSON.parse(fields.get('"content"')!) as string, 'base64').toString()
    if (this.#announced.get(id) !== fields.get('"lsn"')) this.#problem(`a message for journal row ${id}, not behind it`)
    this.#announced.delete(id)
  }

  #problem(text: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(`line ${this.#lines}: ${text}`)
  }
}

function versionOf(row: string): number {
  return Number(/"version":(\d+)/.exec(row)![1])
}

/** The columns of `unchanged` from the row before, in their place. */
function filled(after: string, before: string, unchanged: string): string {
  const sent = rawFields(after)
  const kept = new Set((JSON.parse(unchanged) as string[]).map((name) => JSON.stringify(name)))
  const columns = [...rawFields(before)].map(([name, old]) => `${name}:${kept.has(name) ? old : sent.get(name)}`)
  return `{${columns.join(',')}}`
}
