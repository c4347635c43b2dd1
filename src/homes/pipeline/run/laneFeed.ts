import type { Batch } from '../../../source/batch.js'
import { isOfOneHistory, StreamPosition } from '../../../source/position.js'
import { memoryOf } from './backlog.js'
import type { Barrier } from './barriers.js'
import type { Lane } from './lane.js'
import type { Recorder } from './recorder.js'
import { isBeginning, isPlain } from './resume.js'

/** At most this long after a record was read its sinks are asked to make it durable. */
export const BARRIER_MS = 200
/** A slow disk gets more time between two. */
const REST_FACTOR = 4
/** So many barriers are under way to the slowest sink at most. */
const MAX_UNDER_WAY = 1000
/** The same where each batch has one. */
const MAX_IN_TURNS = 64

export interface LaneFeedOptions {
  readonly lanes: readonly Lane[]
  readonly recorder: Recorder
  /** What may wait for a sink. */
  readonly bufferBytes: number
  /** Where the source begins. */
  readonly start: StreamPosition | undefined
}

/** Gives batches to all lanes, and says where among them a barrier is due. */
export class LaneFeed {
  readonly #lanes: readonly Lane[]
  readonly #recorder: Recorder
  readonly #bufferBytes: number
  /**
   * A sink that stores positions has others beside it. Where all are recorded at once it commits a place only when the marks
   * of the others at that are recorded as pending: else nobody could go on if the run was killed in between.
   */
  readonly #inTurns: boolean
  /** Several sinks store positions. */
  readonly #meets: boolean
  #barrier = 0
  #bytesSinceBarrier = 0
  /** When the last barrier was made that is durable. */
  #durableAt = 0
  #latest: StreamPosition | undefined
  #given: StreamPosition | undefined
  /** A batch of nothing but a position, which is given on at the next barrier if it is still the last one. */
  #idle: Batch | undefined
  /** Since the last barrier, or at it, something was read that cannot be compared. */
  #together: boolean
  /** All sinks have passed it before anything follows. */
  #meeting = 0
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor({ lanes, recorder, bufferBytes, start }: LaneFeedOptions) {
    const storing = lanes.filter(({ storesPosition }) => storesPosition).length
    this.#lanes = lanes
    this.#recorder = recorder
    this.#bufferBytes = bufferBytes
    this.#inTurns = storing > 0 && storing < lanes.length
    this.#meets = storing > 1
    this.#together = start === undefined || !isPlain(start)
    // What is due goes on though nothing new comes.
    this.#latest = this.#given = start
  }

  /** Where the last batch ends. */
  get latest(): StreamPosition | undefined {
    return this.#latest
  }

  /** The last barrier, or 0. */
  get barrier(): number {
    return this.#barrier
  }

  /** No sink is too far behind for another batch. */
  get hasRoom(): boolean {
    if (this.#lanes.some(({ passed, done }) => !done && passed < this.#meeting)) return false
    if (this.#goInTurns && this.#underWay >= MAX_IN_TURNS) return false
    return this.#lanes.every(({ held }) => held < this.#bufferBytes)
  }

  give(batch: Batch): void {
    const position = StreamPosition.parse(batch.position)
    this.#latest = position
    this.#together ||= !isPlain(position)
    // That there are no rows in a range is to be heard, too.
    if (batch.length > 0 || batch.range !== undefined) {
      this.#idle = undefined
      this.#giveLanes(batch)
      // Who gathers large batches has them cut by a barrier.
      this.#bytesSinceBarrier += this.#lanes.some((lane) => lane.gathers) ? batch.bytes : memoryOf(batch)
    } else this.#idle = batch
    if (this.#meets && isBeginning(position)) {
      // Found with none of the rows one sink can begin anew with another, found before it.
      this.makeBarrier()
      this.#meeting = this.#barrier
    }
    // Nothing is made on the server before its intent is recorded.
    // Nor are rows read before a consumer that keeps positions apart has recorded where they begin.
    else if (this.#isNewBeginning(position) || isBeginning(position) || this.#goInTurns) this.makeBarrier()
    else if (this.#bytesSinceBarrier >= this.#bufferBytes / this.#barriersInBuffer)
      this.makeBarrier({ durable: this.#durableInMs === 0 })
    else this.#timer ??= setTimeout(() => this.makeBarrier(), this.#delayMs)
  }

  /** Behind the last batch, if there is none yet, or `always`; not behind the end. */
  makeBarrier(options: Partial<Pick<Barrier, 'end' | 'durable'>> & { readonly always?: boolean } = {}): void {
    const { end, durable = true, always = end !== undefined } = options
    clearTimeout(this.#timer)
    this.#timer = undefined
    const position = this.#latest
    if (this.#ended) return
    if (position === undefined || (position === this.#given && !always)) return
    if (this.#underWay >= MAX_UNDER_WAY && end === undefined) {
      this.#timer = setTimeout(() => this.makeBarrier(), BARRIER_MS)
      return
    }
    const barrier: Barrier = { id: ++this.#barrier, position, together: this.#together, durable, end }
    if (durable) {
      this.#given = position
      this.#durableAt = performance.now()
    } else this.#timer = setTimeout(() => this.makeBarrier(), this.#durableInMs)
    this.#bytesSinceBarrier = 0
    if (this.#idle !== undefined) this.#giveLanes(this.#idle)
    this.#idle = undefined
    if (isRecorded(barrier)) {
      this.#recorder.barriers.made(barrier)
      // The first plain one behind a snapshot still is for all: what stands before it cannot be compared.
      this.#together = !isPlain(position)
    }
    for (const lane of this.#lanes) lane.giveBarrier(barrier)
  }

  /** The last barrier. */
  end(end: Barrier['end']): void {
    this.makeBarrier({ end })
    this.#ended = true
  }

  /** A sink wants to be flushed, though nothing comes. */
  flushIfDue(): void {
    const now = Date.now()
    const isDue = this.#lanes.some((lane) => (lane.dueAt() ?? Number.POSITIVE_INFINITY) <= now)
    if (isDue) this.makeBarrier({ always: true })
  }

  /** No barrier is made by itself any more. */
  close(): void {
    clearTimeout(this.#timer)
  }

  /** Not where what was recorded of the place before it says already that all begins anew. */
  #isNewBeginning(position: StreamPosition): boolean {
    const before = this.#given
    const isKnown = position.isNothing && before?.isNothing === true && isOfOneHistory(position, before)
    return position.beginsAnew && !isKnown
  }

  /**
   * What may wait has so many barriers at least. What lies behind the last one is kept, and what is kept long costs its collection: a
   * quarter of a backlog's processor time with 4. Who gathers large batches would have them cut by more.
   */
  get #barriersInBuffer(): number {
    const [gathers, isSlow] = [this.#lanes.some((lane) => lane.gathers), this.#lanes.some((lane) => lane.isSlow)]
    return gathers && !isSlow ? 4 : 10
  }

  get #delayMs(): number {
    return Math.max(BARRIER_MS, REST_FACTOR * this.#recorder.milliseconds)
  }

  /** To make a few lines durable takes the disk as long as to write a megabyte of them. What a slow sink has would come once more after a crash. */
  get #durableInMs(): number {
    if (this.#lanes.some((lane) => lane.isSlow)) return 0
    return Math.max(0, this.#durableAt + this.#delayMs - performance.now())
  }

  #giveLanes(batch: Batch): void {
    const position = StreamPosition.parse(batch.position)
    // What begins anew is not gone on with wherever it is found, and what repeats is not committed.
    const held = this.#goInTurns && !position.isNothing && isRecorded({ position, durable: true })
    let left = this.#lanes.length
    const done = () => {
      // Else what comes next would have memory of its own, too.
      if (--left === 0 && this.#lanes.every(({ releasesBatches }) => releasesBatches)) batch.rows.giveUpLines()
    }
    for (const lane of this.#lanes) lane.give(batch, { held: held && lane.storesPosition, done })
  }

  /** Each batch has a barrier of its own. */
  get #goInTurns(): boolean {
    return this.#inTurns && this.#together
  }

  get #underWay(): number {
    return this.#barrier - Math.min(...this.#lanes.map(({ passed }) => passed))
  }
}

/** Whoever resumes at a place that repeats gets rows once more: there the sinks only make durable what they have. */
export function isRecorded({ position, durable }: Pick<Barrier, 'position' | 'durable'>): boolean {
  return durable && (!position.repeats || position.beginsAnew)
}
