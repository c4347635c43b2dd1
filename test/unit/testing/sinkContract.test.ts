import { afterEach, expect, test } from 'vitest'
import { deferred } from '../../../src/core/deferred.js'
import type { Reject, Sink, SinkMark } from '../../../src/sinks/sink.js'
import type { Batch } from '../../../src/source/batch.js'
import { type Change, type CheckName, type SinkContract, sinkContract } from '../../../src/testing/index.js'

const HELD_BYTES = 1024 * 1024

/** A disk of a test: what was appended can be read, and is there after a crash when it was synced. */
class Disk {
  readonly log: Change[] = []
  synced = 0
  held: Promise<void> | undefined
  failing = false

  async append(changes: readonly Change[]): Promise<void> {
    await this.held
    if (this.failing) throw new Error('the disk is on fire')
    this.log.push(...changes)
  }

  cutAt(mark: SinkMark | undefined): void {
    const { count } = (mark ?? { count: 0 }) as { readonly count: number }
    this.log.length = Math.min(this.log.length, count)
  }

  sync(): void {
    this.synced = this.log.length
  }
}

/** Takes back what stands behind its mark, as a file does. Each of its parts can be done wrong. */
class LogSink implements Sink {
  readonly takesBack: boolean = true
  readonly disk: Disk
  protected pending: Change[] = []
  #bytes = 0

  constructor(disk: Disk) {
    this.disk = disk
  }

  async open(mark: SinkMark | undefined): Promise<undefined> {
    this.pending = []
    this.disk.cutAt(mark)
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    for (let index = 0; index < batch.length; index++) {
      const change = changeOf(batch, index, (problem) => this.rejected(index, problem, reject))
      if (change !== undefined) this.pending.push(change)
    }
    this.#bytes += batch.bytes
    if (this.#bytes >= HELD_BYTES / 2) await this.append()
  }

  protected rejected(index: number, problem: string, reject: Reject | undefined): void {
    if (reject === undefined) throw new Error(problem)
    reject(index, new Error(problem))
  }

  protected async append(): Promise<void> {
    await this.disk.append(this.pending.splice(0))
    this.#bytes = 0
  }

  async flush(): Promise<SinkMark> {
    await this.append()
    this.disk.sync()
    return { count: this.disk.log.length }
  }

  async close(): Promise<void> {
    this.pending = []
  }
}

function changeOf(batch: Batch, index: number, reject: (problem: string) => void): Change | undefined {
  const record = batch.at(index)!
  if (record.operation === 'schema') return undefined
  if (record.operation === 'delete') return { key: String(record.key!.id), version: null }
  const row = (record as { after: { toObject(): Record<string, unknown> } }).after.toObject()
  if (row.note === 'poison') {
    reject('it is poison')
    return undefined
  }
  return { key: String(row.id), version: Number(row.version) }
}

function contractOf(make: (disk: Disk) => Sink): SinkContract {
  return {
    kind: 'log',
    maxHeldBytes: HELD_BYTES,
    timeoutMs: 1000,
    rejectedNote: 'poison',
    target: () => {
      const disk = new Disk()
      return {
        make: () => make(disk),
        read: async () => disk.log,
        crash: () => {
          disk.log.length = disk.synced
        },
        hold: async () => {
          const held = deferred()
          disk.held = held.promise
          return held.resolve
        },
        fail: async () => {
          disk.failing = true
          return () => {
            disk.failing = false
          }
        },
      }
    },
  }
}

/** Which checks fail, and what each says. */
async function failures(contract: SinkContract): Promise<Partial<Record<CheckName, string>>> {
  const found: Partial<Record<CheckName, string>> = {}
  for (const { name, run, skipped } of sinkContract(contract)) {
    if (skipped !== undefined) continue
    await run().catch((error: Error) => {
      found[name] = error.message
    })
  }
  return found
}

const timers: NodeJS.Timeout[] = []
afterEach(() => {
  for (const timer of timers.splice(0)) clearInterval(timer)
})

test('a sink that does all of it passes every check', async () => {
  expect(await failures(contractOf((disk) => new LogSink(disk)))).toEqual({})
})

test('a sink that goes on while it flushes passes', async () => {
  const going = (disk: Disk) =>
    new (class extends LogSink {
      readonly writesDuringFlush = true
      override async flush(): Promise<SinkMark> {
        await this.append()
        const count = this.disk.log.length
        await new Promise(setImmediate)
        this.disk.synced = Math.max(this.disk.synced, count)
        return { count }
      }
    })(disk)
  expect(await failures(contractOf(going))).toEqual({})
})

test('a sink that keeps rows passes, and one that stores the position with them', async () => {
  const rows = new Map<Disk, Map<string, Change>>()
  const positions = new Map<Disk, unknown>()
  class RowsSink extends LogSink {
    override readonly takesBack = false
    readonly storesPosition = true
    override async open(): Promise<never> {
      return (positions.get(this.disk) ?? null) as never
    }
    override async write(batch: Batch, reject?: Reject): Promise<void> {
      await super.write(batch, reject)
      await this.append()
      const own = rows.get(this.disk) ?? new Map<string, Change>()
      rows.set(this.disk, own)
      for (const change of this.disk.log.splice(0)) {
        if (change.version === null) own.delete(change.key)
        else own.set(change.key, change)
      }
      positions.set(this.disk, JSON.parse(JSON.stringify(batch.position)))
    }
  }
  const { target, ...contract } = contractOf((disk) => new RowsSink(disk))
  const found = await failures({
    ...contract,
    kind: 'rows',
    target: async () => {
      const { make, ...rest } = await target()
      const sink = make() as LogSink
      return {
        ...rest,
        make: () => new RowsSink(sink.disk),
        read: async () => [...(rows.get(sink.disk)?.values() ?? [])],
      }
    },
  })
  expect(found).toEqual({})
})

const BROKEN: readonly {
  readonly what: string
  readonly fails: Partial<Record<CheckName, RegExp>>
  make(disk: Disk): Sink
}[] = [
  {
    what: 'resolves flush before what was written is there',
    fails: { 'no ack before durable': /^not to be found at the target: version 1 of key \d+; .* more$/ },
    make: (disk) =>
      new (class extends LogSink {
        #late: Promise<void> = Promise.resolve()
        override async flush(): Promise<SinkMark> {
          const count = this.disk.log.length + this.pending.length
          this.#late = new Promise((resolve) => setTimeout(resolve, 1)).then(() => this.append())
          this.#late.catch(() => {})
          return { count }
        }
        override async write(batch: Batch, reject?: Reject): Promise<void> {
          await this.#late
          return super.write(batch, reject)
        }
        override async close(): Promise<void> {
          await this.#late.catch(() => {})
        }
      })(disk),
  },
  {
    what: 'writes what came last first',
    fails: { 'order per key': /^read from the target: version 2 of key (\d+) before version 1 of key \1; .* more$/ },
    make: (disk) =>
      new (class extends LogSink {
        protected override append(): Promise<void> {
          this.pending.reverse()
          return super.append()
        }
      })(disk),
  },
  {
    what: 'leaves in a cache what it says to be durable',
    fails: { 'at least once': /not to be found at the target|read from the target/ },
    make: (disk) =>
      new (class extends LogSink {
        override async flush(): Promise<SinkMark> {
          await this.append()
          return { count: this.disk.log.length }
        }
      })(disk),
  },
  {
    what: 'gives as its mark what it was given while it flushed, too,',
    fails: { 'at least once': /once more/ },
    make: (disk) =>
      new (class extends LogSink {
        readonly writesDuringFlush = true
        override async flush(): Promise<SinkMark> {
          await new Promise(setImmediate)
          return super.flush()
        }
      })(disk),
  },
  {
    what: 'says that it takes back what was not recorded, and does not',
    fails: { 'at least once': /once more/ },
    make: (disk) =>
      new (class extends LogSink {
        override async open(): Promise<undefined> {
          this.pending = []
        }
      })(disk),
  },
  {
    what: 'keeps what it had when it is opened again',
    fails: { 'opened again': /once more/ },
    make: (disk) =>
      new (class extends LogSink {
        override async open(mark: SinkMark | undefined): Promise<undefined> {
          this.disk.cutAt(mark)
        }
        override async close(): Promise<void> {}
      })(disk),
  },
  {
    what: 'takes everything while its target takes nothing',
    fails: { 'back-pressure': /^it has taken \d+ bytes without waiting/ },
    make: (disk) =>
      new (class extends LogSink {
        override async write(batch: Batch, reject?: Reject): Promise<void> {
          super.write(batch, reject).catch(() => {})
          if (batch.at(0) !== undefined && batch.length < 4) await super.write(batch.part(0, 0), reject)
        }
      })(disk),
  },
  {
    what: 'cannot be closed twice',
    fails: { close: /^a second close .* failed: it is closed already$/ },
    make: (disk) =>
      new (class extends LogSink {
        #closed = false
        override async open(mark: SinkMark | undefined): Promise<undefined> {
          this.#closed = false
          return super.open(mark)
        }
        override async close(): Promise<void> {
          if (this.#closed) throw new Error('it is closed already')
          this.#closed = true
        }
      })(disk),
  },
  {
    what: 'leaves a timer behind',
    fails: { close: /^behind close the process is still kept alive by \d+ Timeout$/ },
    make: (disk) =>
      new (class extends LogSink {
        override async open(mark: SinkMark | undefined): Promise<undefined> {
          timers.push(setInterval(() => {}, 60_000))
          return super.open(mark)
        }
      })(disk),
  },
  {
    what: 'leaves out what it cannot write without a word',
    fails: { rejects: /rejected was: none$/ },
    make: (disk) =>
      new (class extends LogSink {
        protected override rejected(): void {}
      })(disk),
  },
  {
    what: 'fails on what it could reject',
    fails: { rejects: /^it is poison$/ },
    make: (disk) =>
      new (class extends LogSink {
        protected override rejected(index: number, problem: string): void {
          super.rejected(index, problem, undefined)
        }
      })(disk),
  },
  {
    what: 'gives a mark that JSON does not hold',
    fails: { 'order per key': /^the mark that flush gave is what comes back from JSON as something else$/ },
    make: (disk) =>
      new (class extends LogSink {
        override async flush(): Promise<SinkMark> {
          return { ...(await super.flush()), at: new Date(0) }
        }
      })(disk),
  },
]

test.each(BROKEN)('a sink that $what fails the check of that', async ({ fails, make }) => {
  const found = await failures(contractOf(make))
  for (const [name, says] of Object.entries(fails)) expect(found[name as CheckName], name).toMatch(says)
})

test('what a sink cannot be given is named with the reason, and nothing is left out silently', async () => {
  const { rejectedNote, ...contract } = contractOf((disk) => new LogSink(disk))
  expect(rejectedNote).toBe('poison')
  expect(await failures(contract)).toEqual({ rejects: expect.stringMatching(/^no rejectedNote is given/) })
  const checks = sinkContract({ ...contract, without: { rejects: 'it takes everything' } })
  expect(checks.filter(({ skipped }) => skipped !== undefined)).toEqual([
    expect.objectContaining({ name: 'rejects', skipped: 'it takes everything' }),
  ])
})
