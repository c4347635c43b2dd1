import { ByteWriter, viewOf } from '../core/byteWriter.js'
import { COLUMN_UNKNOWN } from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import type { RowView } from '../core/record.js'
import type { Table } from '../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'
import { NO_FALLBACK, RowLayout } from './json/row.js'

const layouts = new WeakMap<Table, RowLayout>()

/** A row over the bytes received; unchanged columns are taken from the tuple at `fallback`, if there is one. */
export class TapeRow implements RowView {
  readonly #table: Table
  readonly #bytes: Uint8Array
  readonly #tape: Int32Array
  readonly #at: number
  readonly #fallback: number

  constructor(table: Table, bytes: Uint8Array, tape: Int32Array, at: number, fallback: number = NO_FALLBACK) {
    this.#table = table
    this.#bytes = bytes
    this.#tape = tape
    this.#at = at
    this.#fallback = fallback
  }

  toObject(): Record<string, unknown> {
    const row: Record<string, unknown> = {}
    for (const column of this.#table.selected) {
      const value = this.value(column)
      if (value !== undefined) put(row, this.#table.columns[column]!.name, value)
    }
    return row
  }

  get(name: string): unknown {
    return this.value(this.#index(name))
  }

  text(name: string): string | null | undefined {
    const pair = this.#pair(this.#index(name))
    const start = this.#tape[pair]!
    if (start < 0) return start === NULL_COLUMN ? null : undefined
    return decode(this.#bytes, start, this.#tape[pair + 1]!)
  }

  toJsonBytes(): Uint8Array {
    let layout = layouts.get(this.#table)
    if (layout === undefined) {
      layout = new RowLayout(this.#table, this.#table.selected)
      layouts.set(this.#table, layout)
    }
    const writer = new ByteWriter(1024)
    layout.write(writer, this.#bytes, viewOf(this.#bytes), this.#tape, this.#at, this.#fallback)
    return writer.toBuffer()
  }

  /** For `JSON.stringify`: what `toJsonBytes` says, parsed, so numbers beyond 2^53 lose digits there and not here. */
  toJSON(): unknown {
    return JSON.parse(decode(this.toJsonBytes(), 0, Number.MAX_SAFE_INTEGER))
  }

  /** The value of the column at `index` of the table; undefined when it is unchanged and was not sent. */
  value(index: number): unknown {
    const pair = this.#pair(index)
    const start = this.#tape[pair]!
    if (start < 0) return start === NULL_COLUMN ? null : undefined
    return this.#table.codecs[index]!.readValue(this.#bytes, start, this.#tape[pair + 1]!)
  }

  /** Names of the selected columns that are unchanged and were not sent. */
  unchanged(): string[] {
    return this.#table.selected
      .filter((column) => this.#tape[this.#pair(column)] === UNCHANGED_COLUMN)
      .map((column) => this.#table.columns[column]!.name)
  }

  #pair(column: number): number {
    const pair = this.#at + 2 * column
    return this.#tape[pair] === UNCHANGED_COLUMN && this.#fallback !== NO_FALLBACK ? this.#fallback + 2 * column : pair
  }

  #index(name: string): number {
    const { columns, selected } = this.#table
    const index = selected.find((column) => columns[column]!.name === name)
    if (index !== undefined) return index
    const near = nearest(
      name,
      selected.map((column) => columns[column]!.name),
    )
    throw COLUMN_UNKNOWN({ schema: this.#table.schema, table: this.#table.name, column: name, near })
  }
}

/** A column may be called `__proto__`, which an assignment would not make a property of. */
function put(row: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') row[name] = value
  else Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
}

function decode(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', start, end)
}
