import type { ByteWriter } from '../../core/byteWriter.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  OLD_ROW,
  type RowBatch,
} from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { NO_FALLBACK, RowLayout } from '../json/row.js'

const OPEN = 0x5b
const CLOSE = 0x5d
const NEWLINE = 0x0a

/**
 * The raw form of Blink's messages, a line each: `[{"id":7,"name":"Ann"}]`, names in the order of their bytes. Of a delete
 * the key, every other column null, or the whole old row with REPLICA IDENTITY FULL. A large value that an UPDATE left as it
 * was, and that was not sent, is left out. What is no row has no such form, and no line.
 */
export class RawEncoder {
  readonly #shown: (table: Table) => Table
  readonly #layouts = new WeakMap<Table, RowLayout>()

  constructor(shown: (table: Table) => Table = (table) => table) {
    this.#shown = shown
  }

  write(writer: ByteWriter, batch: RowBatch, from = 0, to = batch.count): void {
    const { heads } = batch
    for (let head = from * HEAD; head < to * HEAD; head += HEAD) {
      const operation = heads[head + HEAD_OPERATION]!
      if (operation > DELETE) continue
      const table = batch.tables[heads[head + HEAD_TABLE]!]!
      const layout = this.#layoutOf(table)
      const buffer = heads[head + HEAD_BUFFER]!
      const bytes = batch.buffers[buffer]!
      const view = batch.views[buffer]!
      const tape = batch.tape.values
      const old = heads[head + HEAD_OLD]!
      const isWhole = (old & 3) === OLD_ROW && table.replicaIdentity === 'full'
      writer.reserve(1)
      writer.bytes[writer.length++] = OPEN
      if (operation === DELETE) layout.write(writer, bytes, view, tape, old >> 2, NO_FALLBACK)
      else layout.write(writer, bytes, view, tape, heads[head + HEAD_NEW]!, isWhole ? old >> 2 : NO_FALLBACK)
      writer.reserve(2)
      writer.bytes[writer.length++] = CLOSE
      writer.bytes[writer.length++] = NEWLINE
    }
  }

  #layoutOf(table: Table): RowLayout {
    const known = this.#layouts.get(table)
    if (known !== undefined) return known
    const nameOf = (column: number) => Buffer.from(table.columns[column]!.name)
    const sorted = [...table.selected].sort((a, b) => Buffer.compare(nameOf(a), nameOf(b)))
    const layout = new RowLayout(this.#shown(table), sorted)
    this.#layouts.set(table, layout)
    return layout
  }
}
