import type { ByteWriter } from '../../../core/byteWriter.js'
import type { RowBatch } from '../../../core/rowBatch.js'
import { serveEncoder } from '../../../sinks/lines/encoderWorker.js'
import { type RecordSetup, recordWriter } from './recordSetup.js'
import type { ReadPlace } from './recordTails.js'
import { StreamLines } from './streamLines.js'
import type { Unsaid } from './streamReports.js'

/** What a thread is told of a batch. */
export interface RecordTask {
  /** The place of the stream that its rows, where they are read, come at; undefined: there is no stream. */
  readonly place: ReadPlace | undefined
  readonly emittedAt: number
  /** A STATE is to stand behind so many records; 0: none within the batch. */
  readonly commit: number
}

/** What it says of the lines. */
export interface RecordTold {
  /** So many of the parts, and these counts, are of the lines before the STATE within the batch. */
  readonly parts: number
  readonly before: readonly StreamCount[]
  readonly behind: readonly StreamCount[]
  readonly unsaid: readonly (readonly [stream: number, what: Unsaid])[]
}

type StreamCount = readonly [stream: number, records: number]

/** In a thread: writes RECORD lines. STATE lines and those of a stream's status are for who puts all together. */
export function serveRecords(setup: RecordSetup): void {
  serveEncoder(recordEncoder(setup))
}

/** The work itself. */
export function recordEncoder(
  setup: RecordSetup,
): (writer: ByteWriter, rows: RowBatch, task: RecordTask) => RecordTold {
  const streams = new Map<number, StreamLines>()
  let unsaid: [number, Unsaid][] = []
  const records = recordWriter(
    setup,
    ({ stream, number }) => {
      const lines = new StreamLines(stream, number)
      lines.running = true
      streams.set(number, lines)
      return lines
    },
    (lines, what) => {
      if (what !== 'truncate' && lines.told.has(what)) return
      lines.told.add(what)
      unsaid.push([lines.number, what])
    },
  )
  const counts = (): StreamCount[] => {
    const found: StreamCount[] = []
    for (const lines of streams.values()) {
      if (lines.records === 0) continue
      found.push([lines.number, lines.records])
      lines.records = 0
    }
    return found
  }
  return (writer, rows, { place, emittedAt, commit }) => {
    unsaid = []
    if (place !== undefined) records.readAt(place)
    records.write(writer, rows, 0, commit, emittedAt)
    const before = counts()
    const { parts } = commit > 0 ? writer.mark() : { parts: 0 }
    records.write(writer, rows, commit, rows.count, emittedAt)
    return { parts, before, behind: counts(), unsaid }
  }
}
