import { expect, test } from 'vitest'
import { deferred } from '../../../../src/core/deferred.js'
import { Lane } from '../../../../src/homes/pipeline/run/lane.js'
import type { Sink } from '../../../../src/sinks/sink.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { sinkConfig } from '../../../support/pipelineSinks.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'

const ORIGIN = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
const TABLE = textTable('t', ['id'], [0])

function positionAt(lsn: bigint): StreamPosition {
  return new StreamPosition(ORIGIN, { lsn, seq: 0, sub: 0, end: lsn, fingerprint: 0, snapshot: undefined })
}

test('batches told as what comes next, and then written with more, are made durable as seldom as others', async () => {
  const first = deferred()
  const written: number[] = []
  let prepared = 0
  let flushes = 0
  const sink: Sink = {
    gathersBytes: 1_000_000,
    open: async () => undefined,
    write: async ({ length }) => {
      written.push(length)
      if (written.length === 1) await first.promise
    },
    prepare: () => void prepared++,
    flush: async () => {
      flushes++
      return null
    },
    close: async () => {},
  }
  const passed: number[] = []
  const lane = new Lane(
    sinkConfig('one', () => sink),
    { passed: (_, { barrier }) => void passed.push(barrier.id), moved: () => {}, event: () => {} },
  )
  const give = (id: number, bytes: number) => {
    const { batch } = new BatchBuilder([TABLE]).create([String(id)])
    batch.bytes = bytes
    lane.give(new Batch(batch, positionAt(BigInt(id)), () => {}))
    lane.giveBarrier({ id, position: positionAt(BigInt(id)), together: false, end: undefined })
  }
  await lane.open(undefined)
  // Enough for itself: what follows is looked at while it is written, and again when its turn comes, since more could join.
  give(1, 1_000_000)
  for (let id = 2; id <= 7; id++) give(id, 10)
  const running = lane.run()
  await new Promise((resolve) => setTimeout(resolve, 20))
  first.resolve()
  lane.end()
  await running
  expect([written, passed, flushes, prepared]).toEqual([[1, 6], [7], 1, 0])
})
