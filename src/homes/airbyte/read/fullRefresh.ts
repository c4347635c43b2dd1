import type { ByteWriter } from '../../../core/byteWriter.js'
import type { SourceEvent } from '../../../source/events.js'
import type { SourceOptions } from '../../../source/options.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { RecordWriter } from './recordWriter.js'

export interface FullRefreshRun {
  readonly options: SourceOptions
  readonly records: RecordWriter
  readonly writer: ByteWriter
  readonly output: MessageOutput
  readonly onEvent: (event: SourceEvent) => void
}

/** All rows of some tables, in one snapshot. Nothing is made on the server, and there is no place to go on from. */
export async function readFullRefresh({ options, records, writer, output, onEvent }: FullRefreshRun): Promise<void> {
  const source = new PostgresSource({ ...options, snapshot: 'only' })
  const listening = (async () => {
    for await (const event of source.events()) onEvent(event)
  })()
  try {
    for await (const { rows } of source) {
      writer.clear()
      records.write(writer, rows, 0, rows.count, Date.now())
      if (writer.size > 0) await output.lines(writer.take())
    }
  } finally {
    await source.close()
    await listening
  }
}
