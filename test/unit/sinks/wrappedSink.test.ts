import { expect, test } from 'vitest'
import { GuardedSink } from '../../../src/sinks/custom/guardedSink.js'
import type { LetterStore } from '../../../src/sinks/deadLetters/letterStore.js'
import { WithDeadLetters } from '../../../src/sinks/deadLetters/withDeadLetters.js'
import type { Sink } from '../../../src/sinks/sink.js'
import type { Batch } from '../../../src/source/batch.js'

const FACTS = {
  ...{ takesBack: true, releasesBatches: true, closesWhileBusy: true, isSlow: true },
  ...{ gathersBytes: 7, preparesBatches: 3, outages: { count: 1, seconds: 2 } },
} as const

test.each<[what: string, wrap: (sink: Sink) => Sink]>([
  ['dead letters', (sink) => new WithDeadLetters(sink, {} as LetterStore)],
  ['what looks at a sink of a user', (sink) => new GuardedSink('one', sink)],
])('around a sink %s says and hands on all that a pipeline asks of it', (_, wrap) => {
  const told: unknown[] = []
  const sink: Sink = {
    ...FACTS,
    writesDuringFlush: true,
    open: async () => {},
    write: async () => {},
    flush: async () => null,
    close: async () => {},
    prepare: (next) => void told.push(next),
    listen: (tell) => void told.push(tell),
    dueAt: () => 11,
  }
  const wrapped = wrap(sink)
  const facts = Object.fromEntries(Object.keys(FACTS).map((name) => [name, wrapped[name as keyof Sink]]))
  expect([facts, wrapped.storesPosition, wrapped.dueAt?.()]).toEqual([FACTS, false, 11])
  const [next, tell] = [{} as Batch, () => {}]
  wrapped.prepare!(next)
  wrapped.listen!(tell)
  expect(told).toEqual([next, tell])
  // Of a sink with dead letters these are written behind its own flush.
  const writesDuringFlush = 'writesDuringFlush' in wrapped && wrapped.writesDuringFlush
  expect(writesDuringFlush).toBe(wrapped instanceof GuardedSink)
  // Nobody is told of batches to come who does not want that.
  expect(wrap({ ...sink, prepare: undefined } as unknown as Sink).prepare).toBeUndefined()
})
