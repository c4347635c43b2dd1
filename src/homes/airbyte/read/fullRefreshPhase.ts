import { PostgresSource } from '../../../source/postgresSource.js'
import { bytesOf, type Phase, recordLinesOf, streamsOf } from './phase.js'
import { sourceOptions } from './sourceOptions.js'

/** All rows of the streams that want them, in one snapshot. Nothing is made on the server. */
export async function fullRefreshPhase(phase: Phase): Promise<void> {
  const streams = streamsOf(phase, 'full_refresh')
  if (streams.length === 0) return
  const { signal, output, reports, checkpoints } = phase
  const stated = streams.map(({ lines }) => lines.stream)
  try {
    await readRows(phase)
  } catch (error) {
    return reports.fail(error, streams)
  }
  if (signal.aborted) return reports.status('INCOMPLETE', stated)
  for (const one of streams) reports.running(one)
  await output.lines([Buffer.from(checkpoints.lines(undefined, 'full_refresh'))])
  reports.status('COMPLETE', stated)
}

async function readRows(phase: Phase): Promise<void> {
  const streams = streamsOf(phase, 'full_refresh')
  const lines = recordLinesOf(phase, streams, undefined)
  const signal = AbortSignal.any([phase.signal, lines.failed])
  const source = new PostgresSource({ ...sourceOptions(phase.config, streams, signal), snapshot: 'only' })
  lines.expect(bytesOf(streams))
  const listening = (async () => {
    for await (const event of source.events()) phase.onEvent(event)
  })()
  try {
    for await (const { rows } of source) await lines.write(rows, {})
    await lines.settled()
  } finally {
    await source.close()
    await listening
    await lines.close()
  }
}
