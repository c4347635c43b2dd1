import { ByteWriter } from '../../../core/byteWriter.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import { type Phase, recordsOf, streamsOf } from './phase.js'
import { sourceOptions } from './sourceOptions.js'

/** All rows of the streams that want them, in one snapshot. Nothing is made on the server. */
export async function fullRefreshPhase(phase: Phase): Promise<void> {
  const streams = streamsOf(phase, 'full_refresh')
  if (streams.length === 0) return
  const { config, signal, output, reports, checkpoints } = phase
  const stated = streams.map(({ lines }) => lines.stream)
  try {
    await readRows(phase, new PostgresSource({ ...sourceOptions(config, streams, signal), snapshot: 'only' }))
  } catch (error) {
    return reports.fail(error, streams)
  }
  if (signal.aborted) return reports.status('INCOMPLETE', stated)
  for (const one of streams) reports.running(one)
  await output.lines([Buffer.from(checkpoints.lines(undefined, 'full_refresh'))])
  reports.status('COMPLETE', stated)
}

async function readRows(phase: Phase, source: PostgresSource): Promise<void> {
  const records = recordsOf(phase, streamsOf(phase, 'full_refresh'), undefined)
  const writer = new ByteWriter()
  const listening = (async () => {
    for await (const event of source.events()) phase.onEvent(event)
  })()
  try {
    for await (const { rows } of source) {
      writer.clear()
      records.write(writer, rows, 0, rows.count, Date.now())
      if (writer.size > 0) await phase.output.lines(writer.take())
    }
  } finally {
    await source.close()
    await listening
  }
}
