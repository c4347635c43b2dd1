import { setTimeout as sleep } from 'node:timers/promises'
import type { Sink } from '../sinks/sink.js'
import type { Check } from './check.js'
import { type ContractBatch, ContractBatches } from './contractBatches.js'
import type { Delivery } from './delivery.js'
import { ContractFailure, require, settles, within } from './failure.js'

/** A call that waits for its target has not resolved after this. */
const WAITS_MS = 300
const HELD_RECORDS = 128
const HELD_NOTE_BYTES = 1024
/** Sockets that were closed are gone by then. */
const RELEASED_MS = 2000
/** What keeps a process from ending. */
const RESOURCES = ['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap', 'PipeWrap', 'FSEventWrap', 'ProcessWrap', 'MessagePort']

/** Batches of every kind. */
function everyKind(): readonly ContractBatch[] {
  const source = new ContractBatches()
  const batches = [source.snapshot(12)]
  for (let index = 0; index < 4; index++) batches.push(source.transaction(5 + 3 * index))
  batches.push(source.idle(), source.shape())
  for (let index = 0; index < 4; index++) batches.push(source.transaction(15))
  batches.push(source.transaction(200), source.idle())
  return batches
}

/** A run without a disturbance. */
export async function orderPerKey(check: Check): Promise<void> {
  const delivery = check.delivery(everyKind())
  await delivery.start(check.make())
  await delivery.finish()
  await check.expectAll(delivery.batches, { once: true })
}

/** Whenever a flush resolves somebody else finds all that was written. */
export async function noAckBeforeDurable(check: Check): Promise<void> {
  const delivery = check.delivery(everyKind())
  await delivery.start(check.make())
  for (const count of [1, 2, 3, 1, 4, 2]) {
    await delivery.write(count)
    await delivery.flush()
    await check.expectAll(delivery.given)
  }
}

/** Killed between any two calls: the sink is left alone, and another one gets what was recorded. */
export async function atLeastOnce(check: Check): Promise<void> {
  const delivery = check.delivery(everyKind())
  const first = check.make()
  const isExact = first.storesPosition === true || first.takesBack === true
  await delivery.start(first)
  const again = async () => delivery.start(await check.crash())
  await again()
  await delivery.write(2)
  await again()
  await delivery.write(2)
  await delivery.flush()
  await again()
  await delivery.write(3)
  await delivery.record()
  await again()
  await check.expectAll(delivery.given, { once: isExact })
  await delivery.write(1)
  await delivery.recordAndWrite(2)
  await again()
  await again()
  await delivery.finish()
  await check.expectAll(delivery.batches, { once: isExact })
}

/** As behind an error: closed, opened once more with the mark of its last flush, and given all that came since. */
export async function opensAgain(check: Check): Promise<void> {
  const delivery = check.delivery(everyKind())
  const sink = check.make()
  await delivery.start(sink)
  await delivery.write(2)
  await delivery.startAgain()
  await delivery.write(2)
  await delivery.record()
  await delivery.write(2)
  // It need not be durable, and not come again.
  await delivery.flush({ durable: false })
  await delivery.write(1)
  await delivery.startAgain()
  await delivery.finish()
  await check.expectAll(delivery.batches, { once: sink.storesPosition === true || sink.takesBack === true })
}

/** While the target takes nothing the sink takes some more, and then waits. */
export async function backPressure(check: Check): Promise<void> {
  const { maxHeldBytes } = check.options
  require(check.target.hold === undefined ? 'the target has no hold; or "without" has to say why there is none' : '')
  const source = new ContractBatches()
  const batches = [source.snapshot(3)]
  const count = 3 + Math.ceil(maxHeldBytes / (HELD_RECORDS * HELD_NOTE_BYTES))
  for (let index = 0; index < count; index++) batches.push(source.transaction(HELD_RECORDS, HELD_NOTE_BYTES))
  const delivery = check.delivery(batches)
  await delivery.start(check.make())
  await delivery.write()
  await delivery.record()
  const release = await check.target.hold!()
  try {
    const { waiting } = await untilItWaits(delivery, maxHeldBytes)
    await release()
    await waiting
  } catch (error) {
    await release()
    throw error
  }
  await delivery.finish()
  await check.expectAll(delivery.batches)
}

/** Gives what it waits in. */
async function untilItWaits(delivery: Delivery, maxHeldBytes: number): Promise<{ readonly waiting: Promise<void> }> {
  let taken = 0
  while (!delivery.isDone) {
    const bytes = delivery.batches[delivery.given.length]!.batch.bytes
    const writing = delivery.write()
    writing.catch(() => {})
    if (!(await settles(writing, WAITS_MS))) return { waiting: writing }
    await writing
    taken += bytes
    if (taken > maxHeldBytes) break
  }
  throw new ContractFailure(`it has taken ${taken} bytes without waiting, while its target took none of them`)
}

/** Nothing is held behind a close, whatever came before it. */
export async function closes(check: Check): Promise<void> {
  const delivery = check.delivery(everyKind())
  await closeTwice(check, check.make(), 'before it was opened')
  const before = resources()
  const sink = check.make()
  await delivery.start(sink)
  await delivery.write(2)
  await delivery.record()
  await delivery.write()
  await closeTwice(check, sink, 'behind a write')
  await untilReleased(before)
  await delivery.start(check.make())
  await delivery.write()
  if (check.target.fail !== undefined) {
    const failing = check.make()
    await delivery.close()
    await delivery.start(failing)
    const mend = await check.target.fail()
    try {
      const failed = await delivery
        .write(2)
        .then(() => delivery.flush())
        .then(...OUTCOME)
      if (!failed) throw new ContractFailure('neither write nor flush has rejected while the target fails')
      await closeTwice(check, failing, 'behind an error')
    } finally {
      await mend()
    }
    await untilReleased(before)
    await delivery.start(check.make())
  }
  await delivery.finish()
  await check.expectAll(delivery.batches)
  await untilReleased(before)
}

/** What can never be written is told, and the rest goes on; without anybody to tell it to it is an error. */
export async function rejects(check: Check): Promise<void> {
  const note = check.options.rejectedNote ?? ''
  require(note === '' ? 'no rejectedNote is given; or "without" has to say why there is none' : '')
  const source = new ContractBatches()
  const [rows, some] = [source.snapshot(2), source.notes(['first', note, 'last'])]
  const delivery = check.delivery([rows, some, source.transaction(5), source.notes([note])])
  await delivery.start(check.make())
  await delivery.write()
  await delivery.record()
  const rejected: { readonly index: number; readonly cause: unknown }[] = []
  await delivery.write(1, (index, cause) => {
    rejected.push({ index, cause })
  })
  await delivery.record()
  const [one] = rejected
  if (rejected.length !== 1 || one?.index !== 1 || !(one.cause instanceof Error)) {
    const told = rejected.map(({ index, cause }) => `record ${index} with ${cause}`).join(', ') || 'none'
    throw new ContractFailure(`record 1 of the batch is to be rejected, with an Error; rejected was: ${told}`)
  }
  await delivery.write()
  await delivery.record()
  const left = { ...some, changes: some.changes.filter((_, index) => index !== 1) }
  await check.expectAll([rows, left, ...delivery.given.slice(2)])
  const failed = await delivery
    .write()
    .then(() => delivery.flush())
    .then(...OUTCOME)
  require(failed ? '' : 'without a reject neither write nor flush has rejected')
}

const OUTCOME = [() => false, () => true] as const

async function closeTwice({ options }: Check, sink: Sink, when: string): Promise<void> {
  for (const which of ['close', 'a second close']) {
    try {
      await within(sink.close(), options.timeoutMs, which)
    } catch (error) {
      throw new ContractFailure(`${which} ${when} failed: ${(error as Error).message}`, { cause: error })
    }
  }
}

function resources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) {
    const isTimer = name === 'Timeout' || name === 'Immediate'
    if (isTimer || RESOURCES.includes(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

async function untilReleased(before: ReadonlyMap<string, number>): Promise<void> {
  const deadline = Date.now() + RELEASED_MS
  for (;;) {
    const more = [...resources()].filter(([name, count]) => count > (before.get(name) ?? 0))
    if (more.length === 0) return
    if (Date.now() > deadline) {
      const named = more.map(([name, count]) => `${count - (before.get(name) ?? 0)} ${name}`).join(', ')
      throw new ContractFailure(`behind close the process is still kept alive by ${named}`)
    }
    await sleep(20)
  }
}
