import { RowLayout } from '../../../codec/json/row.js'
import { ByteWriter } from '../../../core/byteWriter.js'
import type { Table } from '../../../core/table.js'
import { type PayloadFormat, type TableFormat, type Tuple, WITHOUT_SCHEMA } from './payloadFormat.js'
import type { ProtoWriter } from './protoWriter.js'

/** Data: `bytes raw_data = 1`. */
const RAW_DATA = 0x0a

/** Raw data: JSON as the server's own to_json makes it. */
export const jsonFormat: PayloadFormat = {
  compile(table: Table): TableFormat {
    const scratch = new ByteWriter(4096)
    const writerOf = (columns: readonly number[]) => {
      const layout = new RowLayout(table, columns)
      return (writer: ProtoWriter, { bytes, view, tape, at, fallback }: Tuple): void => {
        scratch.clear()
        layout.write(scratch, bytes, view, tape, at, fallback)
        writer.byte(RAW_DATA)
        writer.varint(scratch.size)
        writer.writeFrom(scratch)
      }
    }
    const writeKey = writerOf(table.key)
    return { ...WITHOUT_SCHEMA, writeKey, writeRow: writerOf(table.selected), writeOldKey: writeKey }
  },
}
