import { expect, test, vi } from 'vitest'
import { deferred } from '../../../../src/core/deferred.js'
import type { SinkConfig } from '../../../../src/homes/pipeline/config/pipelineConfig.js'
import { Lane } from '../../../../src/homes/pipeline/run/lane.js'
import type { Sink } from '../../../../src/sinks/sink.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { sinkConfig } from '../../../support/pipelineSinks.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'
import { seededRandom } from '../../../support/sourceWriters.js'

const table = textTable('t', ['id'], [0])
const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }

function positionAt(rows: number): StreamPosition {
  const snapshot = { id: 'a', rows, tables: [] }
  return new StreamPosition(origin, { lsn: 1n, seq: -1, sub: 0, end: undefined, fingerprint: 0, snapshot })
}

function batchOf(id: number): Batch {
  const { batch } = new BatchBuilder([table]).create([`${id}`])
  batch.bytes = 100
  return new Batch(batch, positionAt(id), () => {})
}

/** Each write waits until it is let go. */
class SlowSink implements Sink {
  readonly preparesBatches = 2
  readonly gathersBytes = 200
  readonly told: Batch[] = []
  readonly written: Batch[] = []
  flushes = 0
  letGo = () => {}

  async open(): Promise<undefined> {}

  prepare(next: Batch): void {
    this.told.push(next)
  }

  async write(batch: Batch): Promise<void> {
    this.written.push(batch)
    await new Promise<void>((resolve) => {
      this.letGo = resolve
    })
  }

  async flush(): Promise<null> {
    this.flushes++
    return null
  }

  async close(): Promise<void> {}
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 10))
const idsOf = (batches: readonly Batch[]) =>
  batches.map((batch) => Array.from({ length: batch.length }, (_, index) => batch.at(index)!.id))

test('a sink is told of the batches behind the one that it writes, through barriers, and gets just those', async () => {
  const sink = new SlowSink()
  const config = { name: 'x', type: 'x', create: () => sink } as unknown as SinkConfig
  const lane = new Lane(config, { passed: () => {}, moved: () => {}, event: () => {} })
  await lane.open(undefined)
  const running = lane.run()
  const batches = Array.from({ length: 9 }, (_, index) => batchOf(index + 1))
  const give = (from: number, to: number) => {
    for (const batch of batches.slice(from, to)) lane.give(batch)
  }
  const barrier = (id: number) =>
    lane.giveBarrier({ id, position: positionAt(2 * id), together: true, durable: true, end: undefined })
  lane.give(batches[0]!)
  await settled()
  expect(sink.written).toHaveLength(1)
  // Not enough to be written as it is.
  give(1, 2)
  expect(sink.told).toHaveLength(0)
  barrier(1)
  give(2, 4)
  // As many as it wants to be told of: the last one waits.
  give(4, 6)
  expect(sink.told.map(({ length }) => length)).toEqual([1, 2])
  expect(sink.flushes).toBe(0)
  for (let writes = 2; writes <= 4; writes++) {
    sink.letGo()
    await settled()
    expect(sink.written).toHaveLength(writes)
    expect(sink.flushes).toBe(writes > 2 ? 1 : 0)
  }
  expect(sink.written.slice(1)).toEqual(sink.told)
  expect(idsOf(sink.written)).toEqual(
    idsOf([batches[0]!, batches[1]!, Batch.join(batches.slice(2, 4)), Batch.join(batches.slice(4, 6))]),
  )
  sink.letGo()
  lane.end()
  await running
})

function streamedTo(lsn: bigint): StreamPosition {
  return new StreamPosition(origin, { lsn, seq: 0, sub: 0, end: lsn, fingerprint: 0, snapshot: undefined })
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
    const { batch } = new BatchBuilder([table]).create([String(id)])
    batch.bytes = bytes
    lane.give(new Batch(batch, streamedTo(BigInt(id)), () => {}))
    lane.giveBarrier({ id, position: streamedTo(BigInt(id)), together: false, durable: true, end: undefined })
  }
  await lane.open(undefined)
  // Enough for itself: what follows is looked at while it is written.
  give(1, 1_000_000)
  for (let id = 2; id <= 7; id++) give(id, 10)
  const running = lane.run()
  await new Promise((resolve) => setTimeout(resolve, 20))
  first.resolve()
  lane.end()
  await running
  expect([written, passed, flushes, prepared]).toEqual([[1, 6], [7], 1, 1])
})

test('a batch is done when it is durable, and what was joined of several is given up then; not when the sink has failed', async () => {
  const done: number[] = []
  const seen: string[][] = []
  const batches: Batch[] = []
  let fails = true
  const sink: Sink = {
    releasesBatches: true,
    gathersBytes: 1_000_000,
    open: async () => undefined,
    write: async (batch) => void batches.push(batch),
    flush: async () => {
      // Nobody has taken anything away yet.
      seen.push([...idsOf(batches).flat(), String(done)])
      batches.length = 0
      if (fails) {
        fails = false
        throw new Error('once')
      }
      return null
    },
    close: async () => {},
  }
  const config = { ...sinkConfig('one', () => sink), onError: 'retry' } as const
  const lane = new Lane(config, { passed: () => {}, moved: () => {}, event: () => {} })
  await lane.open(undefined)
  for (const id of [1, 2]) lane.give(batchOf(id), { done: () => done.push(id) })
  lane.giveBarrier({ id: 1, position: positionAt(2), together: true, durable: true, end: undefined })
  lane.end()
  await lane.run()
  expect(seen).toEqual([
    ['0/1/0', '0/1/0', ''],
    ['0/1/0', '0/1/0', ''],
  ])
  expect(done).toEqual([1, 2])
})

test('a slow sink leaves no place out for longer than a second', async () => {
  const clock = vi.spyOn(performance, 'now')
  const passed: number[] = []
  let now = 5000
  clock.mockImplementation(() => now)
  const sink: Sink = {
    isSlow: true,
    open: async () => undefined,
    write: async ({ rows }) => {
      now += rows.bytes
    },
    flush: async () => null,
    close: async () => {},
  }
  const lane = new Lane(
    sinkConfig('one', () => sink),
    {
      passed: (_, { barrier }) => void passed.push(barrier.id),
      moved: () => {},
      event: () => {},
    },
  )
  await lane.open(undefined)
  for (const [index, milliseconds] of [10, 10, 2000, 10, 10].entries()) {
    const { batch } = new BatchBuilder([table]).create([String(index)])
    batch.bytes = milliseconds
    lane.give(new Batch(batch, streamedTo(BigInt(index + 1)), () => {}))
    lane.giveBarrier({
      id: index + 1,
      position: streamedTo(BigInt(index + 1)),
      together: false,
      durable: true,
      end: undefined,
    })
  }
  const running = lane.run()
  lane.end()
  await running
  clock.mockRestore()
  expect(passed).toEqual([1, 3, 5])
})

test.each([
  ['is closed under it, where it says that it can be', true, 1],
  ['is left alone, where it does not', undefined, 0],
])(
  'a sink that hangs when the run is over %s, and what it says afterwards counts for nothing',
  async (_, closesWhileBusy, times) => {
    const flushing = deferred()
    const passed: number[] = []
    let [flushes, closes] = [0, 0]
    const sink: Sink = {
      ...(closesWhileBusy && { closesWhileBusy }),
      open: async () => undefined,
      write: async () => {},
      flush: async () => {
        flushes++
        await flushing.promise
        return null
      },
      close: async () => void closes++,
    }
    const lane = new Lane(
      sinkConfig('one', () => sink),
      { passed: (_, { barrier }) => void passed.push(barrier.id), moved: () => {}, event: () => {} },
    )
    await lane.open(undefined)
    lane.give(batchOf(1))
    lane.giveBarrier({ id: 1, position: positionAt(1), together: false, durable: true, end: undefined })
    const running = lane.run()
    await vi.waitFor(() => expect(flushes).toBe(1))
    lane.stop()
    await lane.close()
    expect(closes).toBe(times)
    flushing.resolve()
    await running
    expect(passed).toEqual([])
  },
)

test('what is to be durable is so at the latest where the next such place is, also of a sink that is always behind', async () => {
  const passed: boolean[] = []
  let next = 0
  let give = (_: number) => {}
  const sink: Sink = {
    open: async () => undefined,
    // So many more come while it writes.
    write: async () => give(8),
    flush: async () => null,
    close: async () => {},
  }
  const lane = new Lane(
    sinkConfig('one', () => sink),
    { passed: (_, { barrier }) => void passed.push(barrier.durable), moved: () => {}, event: () => {} },
  )
  await lane.open(undefined)
  // As a buffer that fills at once gives them: one that is durable, nine that are not, and so on.
  give = (count) => {
    for (let one = 0; one < count && next < 400; one++) {
      const [id, position, durable] = [next + 1, streamedTo(BigInt(next + 1)), next % 10 === 0]
      lane.give(new Batch(new BatchBuilder([table]).create([String(id)]).batch, position, () => {}))
      lane.giveBarrier({ id, position, together: false, durable, end: undefined })
      next++
    }
  }
  give(30)
  lane.end()
  await lane.run()
  expect(passed.length).toBeGreaterThan(40)
  expect(passed.filter((durable) => durable).length).toBeGreaterThan(passed.length / 3)
  const runs = passed
    .map((durable) => (durable ? 'D' : 'n'))
    .join('')
    .split('D')
  expect(Math.max(...runs.map(({ length }) => length))).toBeLessThan(3)
})

/** Goes on while it flushes, takes back what was not flushed, and fails when it is told to. */
class BesideSink implements Sink {
  readonly writesDuringFlush = true
  readonly log: string[] = []
  /** What would be there after a crash. */
  durable = 0
  busy = 0
  readonly problems: string[] = []
  readonly #pause: () => Promise<void>
  readonly #fails: () => boolean

  constructor(pause: () => Promise<void>, fails: () => boolean = () => false) {
    this.#pause = pause
    this.#fails = fails
  }

  async open(mark: { readonly count: number } | undefined): Promise<undefined> {
    if (this.busy > 0) this.problems.push('opened under whoever writes')
    if ((mark?.count ?? 0) > this.durable) this.problems.push('the mark is of what is not durable')
    this.log.length = mark?.count ?? 0
  }

  async write(batch: Batch): Promise<void> {
    await this.#during(async () => void this.log.push(...idsOf([batch]).flat()))
  }

  async flush(): Promise<{ readonly count: number }> {
    const count = this.log.length
    await this.#during(async () => {
      this.durable = count
    })
    return { count }
  }

  async close(): Promise<void> {
    if (this.busy > 0) this.problems.push('closed under whoever writes')
  }

  async #during(work: () => Promise<void>): Promise<void> {
    this.busy++
    try {
      await this.#pause()
      if (this.#fails()) throw new Error('it is told to fail')
      await work()
    } finally {
      this.busy--
    }
  }
}

const idBatch = (id: number) => {
  const { batch } = new BatchBuilder([table]).create([`${id}`])
  batch.bytes = 100
  return new Batch(batch, streamedTo(BigInt(id)), () => {})
}

test('a sink that says so gets what follows while it flushes, and what it passes is what it had then', async () => {
  const gates: (() => void)[] = []
  const sink = new BesideSink(() => new Promise<void>((resolve) => gates.push(resolve)))
  const passed: unknown[] = []
  const done: number[] = []
  const lane = new Lane(
    sinkConfig('one', () => sink as Sink),
    { passed: (_, { barrier, mark }) => passed.push([barrier.id, mark]), moved: () => {}, event: () => {} },
  )
  const give = (id: number) => {
    lane.give(idBatch(id), { done: () => done.push(id) })
    lane.giveBarrier({ id, position: streamedTo(BigInt(id)), together: true, durable: true, end: undefined })
  }
  await lane.open(undefined)
  const running = lane.run()
  give(1)
  await settled()
  gates.shift()!()
  await settled()
  // It flushes.
  give(2)
  await settled()
  expect([gates.length, sink.busy]).toEqual([2, 2])
  const [flush, write] = gates.splice(0)
  write!()
  await settled()
  // The next flush waits for this one.
  expect([sink.log.length, gates.length, passed, done]).toEqual([2, 0, [], []])
  flush!()
  await settled()
  expect([passed, done]).toEqual([[[1, { count: 1 }]], [1]])
  expect(gates).toHaveLength(1)
  lane.end()
  gates.shift()!()
  await running
  expect([passed, done, sink.problems]).toEqual([
    [
      [1, { count: 1 }],
      [2, { count: 2 }],
    ],
    [1, 2],
    [],
  ])
})

test('such a sink, failing at any call, has every record once and in order, and passes only what is durable', async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = seededRandom(seed)
    const failing = seed % 3 === 0 ? 0 : 0.15
    const pause = async () => {
      for (let ticks = Math.floor(random() * 6); ticks > 0; ticks--) await new Promise(setImmediate)
    }
    const sink = new BesideSink(pause, () => random() < failing)
    const passed: number[] = []
    const done: number[] = []
    const problems: string[] = []
    const config = {
      ...sinkConfig('one', () => sink as Sink),
      onError: 'retry' as const,
      retry: { attempts: 0, firstMs: 0, maxMs: 0 },
    }
    const lane = new Lane(config, {
      passed: (_, { barrier, mark }) => {
        passed.push(barrier.id)
        const { count } = mark as { readonly count: number }
        if (count < barrier.id || sink.durable < count) problems.push(`${barrier.id} passed with ${count}`)
      },
      moved: () => {},
      event: () => {},
    })
    await lane.open(undefined).catch(() => {})
    const running = lane.run()
    const ids = Array.from({ length: 40 }, (_, index) => index + 1)
    for (const id of ids) {
      lane.give(idBatch(id), { done: () => done.push(id) })
      if (random() < 0.5 || id === 40) {
        const durable = id === 40 || random() < 0.7
        lane.giveBarrier({ id, position: streamedTo(BigInt(id)), together: random() < 0.5, durable, end: undefined })
      }
      await pause()
    }
    lane.end()
    await running
    const all = ids.flatMap((id) => idsOf([idBatch(id)]).flat())
    expect([sink.log, sink.durable, done], `seed ${seed}`).toEqual([all, 40, ids])
    expect([passed.at(-1), problems, sink.problems], `seed ${seed}`).toEqual([40, [], []])
    expect([...passed].sort((a, b) => a - b)).toEqual(passed)
  }
})

test('stopped while it flushes such a sink is not left before it is done with that', async () => {
  const gates: (() => void)[] = []
  const sink = new BesideSink(() => new Promise<void>((resolve) => gates.push(resolve)))
  const passed: number[] = []
  const lane = new Lane(
    sinkConfig('one', () => sink as Sink),
    { passed: (_, { barrier }) => passed.push(barrier.id), moved: () => {}, event: () => {} },
  )
  await lane.open(undefined)
  lane.give(idBatch(1))
  lane.giveBarrier({ id: 1, position: streamedTo(1n), together: true, durable: true, end: undefined })
  const running = lane.run()
  await settled()
  gates.shift()!()
  await settled()
  lane.stop()
  await settled()
  expect([lane.done, sink.busy]).toEqual([false, 1])
  await lane.close()
  expect(sink.problems).toEqual([])
  gates.shift()!()
  await running
  await lane.close()
  expect([passed, sink.problems]).toEqual([[], []])
})

/** Two batches, each with its barrier, to a sink that is tried again; gives the barriers that were passed. */
async function twoBatches(sink: Sink): Promise<readonly number[]> {
  const config = {
    ...sinkConfig('one', () => sink),
    onError: 'retry' as const,
    retry: { attempts: 0, firstMs: 0, maxMs: 0 },
  }
  const passed: number[] = []
  const lane = new Lane(config, {
    passed: (_, { barrier }) => passed.push(barrier.id),
    moved: () => {},
    event: () => {},
  })
  await lane.open(undefined)
  for (const id of [1, 2]) {
    lane.give(idBatch(id))
    lane.giveBarrier({ id, position: streamedTo(BigInt(id)), together: true, durable: true, end: undefined })
  }
  lane.end()
  await lane.run()
  return passed
}

test('what such a sink has flushed counts though a write beside it fails', async () => {
  const log: string[] = []
  const opened: unknown[] = []
  let failures = 3
  const sink: Sink = {
    writesDuringFlush: true,
    open: async (mark) => void opened.push(mark),
    write: async (batch) => {
      const { lsn } = StreamPosition.parse(batch.position).place
      log.push(`write ${lsn}`)
      if (lsn === 2n && failures-- > 0) throw new Error('it is told to fail')
    },
    flush: async () => {
      await settled()
      log.push('flushed')
      return { count: log.length }
    },
    close: async () => {},
  }
  const passed = await twoBatches(sink)
  expect(log).toEqual(['write 1', 'write 2', 'flushed', 'write 2', 'write 2', 'write 2', 'flushed'])
  expect([opened, passed]).toEqual([
    [undefined, { count: 3 }, { count: 3 }, { count: 3 }],
    [1, 2],
  ])
})

test('a flush that ends only when its sink is closed does not keep it from being opened again', async () => {
  const hanging = deferred<never>()
  let [opens, failures] = [0, 1]
  const sink: Sink = {
    ...{ writesDuringFlush: true, closesWhileBusy: true },
    open: async () => void opens++,
    write: async (batch) => {
      if (StreamPosition.parse(batch.position).place.lsn === 2n && failures-- > 0) throw new Error('it is told to fail')
    },
    flush: async () => (opens === 1 ? hanging.promise : null),
    close: async () => hanging.reject(new Error('it was closed')),
  }
  const passed = await twoBatches(sink)
  expect([opens, passed]).toEqual([2, [1, 2]])
})

test.each([
  ['that is busy', true, 2_000],
  ['that is idle', false, 10_000],
])('a sink %s whose close does not end is not waited for without end', async (_, isBusy, limitMs) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    let closes = 0
    const never = new Promise<never>(() => {})
    const sink: Sink = {
      closesWhileBusy: true,
      open: async () => undefined,
      write: () => never,
      flush: async () => null,
      close: () => {
        closes++
        return never
      },
    }
    const lane = new Lane(
      sinkConfig('x', () => sink),
      { passed: () => {}, moved: () => {}, event: () => {} },
    )
    await lane.open(undefined)
    if (isBusy) {
      void lane.run()
      lane.give(batchOf(1))
      await vi.advanceTimersByTimeAsync(1)
    }
    let isOver = false
    const closing = lane.close().then(() => {
      isOver = true
    })
    await vi.advanceTimersByTimeAsync(limitMs - 1)
    expect([closes, isOver]).toEqual([1, false])
    await vi.advanceTimersByTimeAsync(1)
    await closing
    expect(isOver).toBe(true)
  } finally {
    vi.useRealTimers()
  }
})
