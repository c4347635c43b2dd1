import { PostgresSource } from '../../../source/postgresSource.js'
import type { Piece } from '../../../source/snapshot/pieces.js'
import { expectRows, type Phase, recordLinesOf, streamsOf } from './phase.js'
import { type Refresh, withPiece } from './refreshState.js'
import { sourceOptions } from './sourceOptions.js'

/** All rows of the streams that want them, in one snapshot, or going on with one. Nothing is made on the server. */
export async function fullRefreshPhase(phase: Phase): Promise<void> {
  const streams = streamsOf(phase, 'full_refresh')
  if (streams.length === 0) return
  const { signal, output, reports, checkpoints } = phase
  const stated = streams.map(({ lines }) => lines.stream)
  const state = (which: 'refreshed' | 'full_refresh') => {
    return output.lines([Buffer.from(checkpoints.lines(undefined, which))])
  }
  const unstated = () => streams.some(({ lines }) => lines.changed)
  try {
    await readRows(phase)
  } catch (error) {
    // That the output failed the next one who writes tells.
    if (unstated()) await state('refreshed').catch(() => {})
    return reports.fail(error, streams)
  }
  if (signal.aborted) {
    if (unstated()) await state('refreshed')
    return reports.status('INCOMPLETE', stated)
  }
  for (const one of streams) reports.running(one)
  // At the next sync all begins anew.
  checkpoints.refreshed(new Map())
  await state('full_refresh')
  reports.status('COMPLETE', stated)
}

async function readRows(phase: Phase): Promise<void> {
  const { config, plan, checkpoints } = phase
  const streams = streamsOf(phase, 'full_refresh')
  const lines = recordLinesOf(phase, streams, undefined)
  const signal = AbortSignal.any([phase.signal, lines.failed])
  const read = new Map([...plan.refreshes.values()].flatMap((refresh) => [...refresh.read]))
  const options = { ...sourceOptions(config, streams, signal), snapshot: 'only', pieces: { read } } as const
  const source = new PostgresSource(options)
  const numbers = new Map(streams.map(({ matched, lines }) => [matched.facts.table.oid, lines.number]))
  let refreshes = plan.refreshes
  expectRows(phase, lines, streams)
  const listening = (async () => {
    for await (const event of source.events()) phase.onEvent(event)
  })()
  try {
    for await (const { rows, piece } of source) {
      checkpoints.count(rows.count)
      if (piece === undefined) {
        await lines.write(rows, {})
        continue
      }
      refreshes = withRead(refreshes, numbers.get(piece.table), piece)
      const now = refreshes
      const due = checkpoints.due
      if (due) checkpoints.claim()
      // As of when it is written, and no sooner.
      const written = () => checkpoints.refreshed(now)
      const behind = () => {
        written()
        return checkpoints.lines(undefined, 'refreshed')
      }
      await lines.write(rows, { behind: due ? behind : undefined, written })
    }
    await lines.settled()
  } finally {
    await source.close()
    await listening
    await lines.close()
  }
}

function withRead(
  refreshes: ReadonlyMap<number, Refresh>,
  stream: number | undefined,
  piece: Piece,
): ReadonlyMap<number, Refresh> {
  const refresh = stream === undefined ? undefined : refreshes.get(stream)
  return refresh === undefined ? refreshes : new Map([...refreshes, [stream!, withPiece(refresh, piece)]])
}
