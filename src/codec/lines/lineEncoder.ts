import type { ByteWriter } from '../../core/byteWriter.js'
import type { RowBatch } from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { DebeziumEncoder } from '../debezium/encoder.js'
import { NdjsonEncoder } from '../ndjson.js'
import { RawEncoder } from './rawEncoder.js'

/** How a record stands in a line. `ndjson` is the older name of `tailrace`. */
export const LINE_FORMATS = ['tailrace', 'row', 'blink', 'debezium', 'ndjson'] as const
export type LineFormat = (typeof LINE_FORMATS)[number]

/** Records to lines of JSON, from wire bytes to output bytes. */
export interface LineEncoder {
  /** Writes records `from` to `to` (not included) of `batch`. */
  write(writer: ByteWriter, batch: RowBatch, from?: number, to?: number): void
}

/** What stands in lines of Debezium's format about where they come from. */
export interface LineOrigin {
  /** `source.name`: what the pipeline is called. */
  readonly name: string
  /** `source.db`. */
  readonly database: string
}

export interface LineOptions {
  readonly format: LineFormat
  /** How a table's values are written, where that is not as the catalog says. Debezium's format has types of its own. */
  readonly shown?: ((table: Table) => Table) | undefined
  readonly origin: LineOrigin
}

/** An encoder of that format; it keeps what it compiled of tables, so there is one for a run. */
export function lineEncoder({ format, shown, origin }: LineOptions): LineEncoder {
  switch (format) {
    case 'blink':
      return new RawEncoder(shown)
    case 'debezium':
      return new DebeziumEncoder(origin)
    default:
      return new NdjsonEncoder({ format: format === 'row' ? 'row' : 'ndjson', shown })
  }
}
