import { runScript, type ScriptPart } from '../../postgres/copy/script.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { Batch } from '../../source/batch.js'
import { StreamPosition } from '../../source/position.js'
import { Applier, type LoadedStep } from '../applier.js'
import type { BatchWriter } from '../batchWriter.js'
import { loadSteps } from '../carefulWriter.js'
import { type Checkpoint, OPEN_FOR_LONG } from '../checkpoint.js'
import type { Target } from '../target.js'
import { type Backend, terminate, type WriteSession } from '../writeSession.js'
import { isBefore, type LaneMark, withoutApplied } from './applied.js'
import { findLaneFacts } from './laneFacts.js'
import { type LaneFacts, MAIN, type Routing, routeBatch } from './routing.js'

/** After something failed so many batches are written in one piece; each further time twice as many, up to the most. */
const FIRST_REST = 16
const LONGEST_REST = 1024
/** What stands between may have forgotten a connection that nothing came over for so long, without a word. */
const IDLE_MS = 60_000

export interface LanesOptions {
  /** How many connections apply, the main one among them. */
  readonly count: number
  readonly checkpoint: Checkpoint
  readonly connect: () => Promise<WriteSession>
}

/** A connection beside the main one. */
interface Lane extends WriteSession {
  readonly applier: Applier
}

/** A batch as what each lane applies of it. */
interface Parts {
  readonly batch: object
  /** Whose session has the staging tables of the main part. */
  readonly writer: BatchWriter
  readonly routing: Routing
  /** By lane. */
  readonly loaded: readonly (readonly LoadedStep[])[]
}

/** What came of a batch that was to be written over several connections. */
export type Outcome = 'written' | 'failed' | 'not begun'

/**
 * Writes batches of changes over several connections, each in a transaction of its own that is committed as soon as it is done, all but
 * that of the main connection, which has the position and is committed last. So a lane never waits for another, and is a batch
 * ahead of the checkpoint at most; what it has then is told by its own row ({@link Checkpoint.lanes}), and left out by whoever goes on
 * from the checkpoint.
 */
export class Lanes {
  readonly #options: LanesOptions
  readonly #facts = new WeakMap<Target, LaneFacts>()
  /** By number; none at {@link MAIN}. */
  #lanes: Lane[] = []
  #usedAt = 0
  #prepared: Parts | undefined
  /** Of connections that were cut: the server may be at what they sent. */
  #cut: Backend[] = []
  #isClosed = false
  /** Something failed, and may fail again: so many batches are to be written in one piece. */
  #resting = 0
  #rest = FIRST_REST
  /** Batches written since. */
  #written = 0

  constructor(options: LanesOptions) {
    this.#options = options
  }

  /** Makes a batch to come ready; false: it will not be parted. Nothing is asked of the server. */
  prepare<Tables extends object>(batch: Batch<Tables>, writer: BatchWriter): boolean {
    if (this.#options.count === 1 || this.#resting > 0 || !writer.isOfChanges(batch)) return false
    const targets = writer.targetsOfChanges(batch)
    const isKnown = targets?.every((target) => target === undefined || this.#facts.has(target))
    if (targets === undefined || isKnown !== true || this.#prepared !== undefined || this.#lanes.length === 0)
      return true
    this.#prepared = this.#partsOf(batch, targets, writer)
    return this.#prepared !== undefined
  }

  /** Writes a batch and the position, if it is one to be parted. After `failed` some of it may be there: see {@link settle}. */
  async write<Tables extends object>(
    batch: Batch<Tables>,
    writer: BatchWriter | undefined,
    lazily: boolean,
  ): Promise<Outcome> {
    const parts = writer && (await this.#next(batch, writer))
    if (writer === undefined || parts === undefined) return 'not begun'
    const { checkpoint } = this.#options
    const position = batch.position.toJSON()
    const store = { version: checkpoint.nextVersion, position, routing: parts.routing, lazily }
    const main: Promise<void>[] = []
    try {
      writer.forgetAhead()
      await this.#prepareTables(parts, writer)
      checkpoint.lanes.isUnsettled = true
      const others = parts.loaded.map(async (steps, lane) => {
        if (lane === MAIN || steps.length === 0) return
        const { session, applier } = this.#lanes[lane]!
        const { lanes } = checkpoint
        await runScript(session, [lanes.opening(lane), ...applier.script(steps), lanes.ending(lane, store)])
      })
      const own: ScriptPart[] = writer.applier.script(parts.loaded[MAIN]!)
      main.push(runScript(writer.session, [checkpoint.opening, OPEN_FOR_LONG, ...own, checkpoint.storing(position)]))
      await Promise.all([...main, ...others])
      await writer.session.query(checkpoint.committing(lazily))
    } catch {
      // What was wrong is found where the batch is written in one piece.
      this.#giveUp()
      await Promise.allSettled(main)
      return 'failed'
    }
    this.#usedAt = performance.now()
    writer.wroteParted()
    checkpoint.committed()
    checkpoint.lanes.isUnsettled = false
    if (++this.#written === this.#rest) this.#rest = FIRST_REST
    return 'written'
  }

  /** Learns what there is of a batch that failed, and ends what lanes are at. True: the main transaction was committed, too. */
  async settle(through: Queryable): Promise<boolean> {
    if (this.#cut.length > 0) await terminate(through, this.#cut)
    this.#cut = []
    return !(await this.#options.checkpoint.settle(through))
  }

  /** What of a batch is not there yet. */
  unwritten<Tables extends object>(batch: Batch<Tables>): Batch<Tables> {
    const marks = this.#marks
    return marks.length === 0 ? batch : withoutApplied(batch, StreamPosition.parse(batch.position), marks)
  }

  /** Cuts all connections but the main one. */
  close(): void {
    this.#isClosed = true
    this.#cutAll()
  }

  async #next<Tables extends object>(batch: Batch<Tables>, writer: BatchWriter): Promise<Parts | undefined> {
    const prepared = this.#prepared?.batch === batch && this.#prepared.writer === writer ? this.#prepared : undefined
    this.#prepared = undefined
    if (!writer.isOfChanges(batch)) return undefined
    if (this.#resting > 0) {
      this.#resting--
      return undefined
    }
    // It was sent in one piece, before it was known that it need not be.
    if (writer.isAhead || !this.#isBetweenPlainPlaces(batch)) return undefined
    try {
      const targets = await writer.findTargetsOfChanges(batch)
      if (targets === undefined) return undefined
      for (const target of targets) {
        if (target !== undefined && !this.#facts.has(target)) {
          this.#facts.set(target, await findLaneFacts(writer.session, target))
        }
      }
      const lanes = this.#lanes
      if (!(await this.#connected())) return undefined
      if (prepared !== undefined && lanes === this.#lanes) return prepared
      return this.#partsOf(batch, targets, writer)
    } catch {
      // Whoever writes in one piece will meet it as well, or can do without.
      this.#giveUp()
      return undefined
    }
  }

  /** Else it cannot be told by places of the stream what comes between the two. */
  #isBetweenPlainPlaces<Tables extends object>(batch: Batch<Tables>): boolean {
    const { position } = this.#options.checkpoint
    if (position === undefined || this.#marks.length > 0) return false
    return StreamPosition.parse(position).isPlain && StreamPosition.parse(batch.position).isPlain
  }

  /** Until the checkpoint has passed them. */
  get #marks(): readonly LaneMark[] {
    const { position, lanes } = this.#options.checkpoint
    if (lanes.marks.length === 0 || position === undefined) return lanes.marks
    const at = StreamPosition.parse(position)
    if (!lanes.marks.some((mark) => isBefore(at, mark))) lanes.forget()
    return lanes.marks
  }

  #partsOf<Tables extends object>(
    batch: Batch<Tables>,
    targets: readonly Target[],
    writer: BatchWriter,
  ): Parts | undefined {
    const routed = routeBatch(batch.rows, targets, (target) => this.#facts.get(target)!, this.#options.count)
    if (routed === undefined) return undefined
    try {
      const loaded = routed.records.map((records, lane) => {
        const rows = batch.rows.pick(records)
        const applier = lane === MAIN ? writer.applier : this.#lanes[lane]!.applier
        return loadSteps(applier, rows, 0, rows.count, { targets, takesCopies: () => false }, writer.overwrites)
      })
      return { batch, writer, routing: routed.routing, loaded }
    } catch {
      // What is wrong with a row is told when the batch is written.
      return undefined
    }
  }

  async #connected(): Promise<boolean> {
    if (performance.now() - this.#usedAt > IDLE_MS) this.#endAll()
    if (this.#lanes.length > 0) return true
    const others = Array.from({ length: this.#options.count - 1 }, () => this.#options.connect())
    const made = await Promise.allSettled(others)
    const sessions = made.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (this.#isClosed || sessions.length < others.length) {
      for (const { session } of sessions) session.destroy()
      this.#startRest()
      return false
    }
    const lanes: Lane[] = []
    for (const [i, one] of sessions.entries()) lanes[i + 1] = { ...one, applier: new Applier(one.session) }
    this.#lanes = lanes
    this.#usedAt = performance.now()
    return true
  }

  async #prepareTables({ loaded }: Parts, writer: BatchWriter): Promise<void> {
    // None of them may still be at it when the session is used otherwise.
    const done = await Promise.allSettled(
      loaded.map(async (steps, lane) => {
        const applier = lane === MAIN ? writer.applier : this.#lanes[lane]!.applier
        for (const step of steps) await applier.prepare(step)
      }),
    )
    for (const one of done) if (one.status === 'rejected') throw one.reason
  }

  #giveUp(): void {
    this.#startRest()
    this.#cutAll()
  }

  #startRest(): void {
    this.#resting = this.#rest
    this.#rest = Math.min(2 * this.#rest, LONGEST_REST)
    this.#written = 0
  }

  /** Between two batches. */
  #endAll(): void {
    this.#prepared = undefined
    for (const lane of this.#lanes) void lane?.session.close()
    this.#lanes = []
  }

  #cutAll(): void {
    // What was prepared is for their staging tables.
    this.#prepared = undefined
    for (const lane of this.#lanes) {
      if (lane === undefined) continue
      lane.session.destroy()
      this.#cut.push(lane.backend)
    }
    this.#lanes = []
  }
}
