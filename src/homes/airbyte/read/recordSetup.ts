import type { Table } from '../../../core/table.js'
import { quoteQualified } from '../../../postgres/identifier.js'
import type { RecordFormat } from '../recordFormat.js'
import type { ConfiguredStream } from './configuredCatalog.js'
import type { PlaceInStream } from './joinPositions.js'
import type { ScanMoment } from './recordTails.js'
import { RecordWriter } from './recordWriter.js'
import type { StreamLines } from './streamLines.js'
import type { Unsaid } from './streamReports.js'

/** How the records of some streams are written: nothing but what a thread can be told, too. */
export interface RecordSetup {
  readonly format: RecordFormat
  readonly scan: ScanMoment
  readonly streams: readonly RecordStream[]
  /** Tables of which the client has more than the position that the source goes on from, by OID. */
  readonly ahead: ReadonlyMap<number, PlaceInStream>
}

export interface RecordStream {
  readonly stream: ConfiguredStream
  /** Of the run's streams. */
  readonly number: number
  readonly oid: number
  /** Quoted, with its schema. */
  readonly table: string
}

export function recordWriter(
  { format, scan, streams, ahead }: RecordSetup,
  linesOf: (stream: RecordStream) => StreamLines,
  onUnsaid: (stream: StreamLines, what: Unsaid) => void,
): RecordWriter {
  const byOid = new Map<number, StreamLines>()
  const byName = new Map<string, StreamLines>()
  for (const stream of streams) {
    const lines = linesOf(stream)
    byOid.set(stream.oid, lines)
    byName.set(stream.table, lines)
  }
  // Made anew under its name it is another table of the same stream.
  const streamOf = ({ oid, schema, name }: Table) => byOid.get(oid) ?? byName.get(quoteQualified(schema, name))
  return new RecordWriter({ format, scan, streamOf, ahead, onUnsaid })
}
