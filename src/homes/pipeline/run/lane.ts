import { sleep } from '../../../core/abort.js'
import { backoffMs } from '../../../core/backoff.js'
import { DESTINATION_FENCED } from '../../../core/destinationErrors.js'
import { SINK_REWOUND } from '../../../core/pipelineErrors.js'
import { TailraceError } from '../../../core/tailraceError.js'
import { isTransient } from '../../../postgres/serverError.js'
import { rejection } from '../../../sinks/custom/rejection.js'
import type { Sink, SinkMark } from '../../../sinks/sink.js'
import { Batch } from '../../../source/batch.js'
import { comparePlaces, StreamPosition } from '../../../source/position.js'
import type { SinkConfig } from '../config/pipelineConfig.js'
import type { Barrier, Passed } from './barriers.js'
import type { PipelineEvent, SinkSummary } from './events.js'
import { type Ahead, beyond } from './resume.js'

export interface LaneListener {
  passed(lane: Lane, passed: Passed): void
  /** Something became durable, or the lane has ended: whoever waits for either looks again. */
  moved(): void
  event(event: PipelineEvent): void
  /** The sink has taken so many records at once, in so long; undefined: nobody wants to know. */
  readonly wrote?: ((lane: Lane, records: number, seconds: number) => void) | undefined
}

/** A sink that is behind makes durable several places at once, but not too many. */
const MAX_LEFT_OUT = 8
/** One that may take long for what lies between two of them leaves none out when so long has passed since the last. */
const LEFT_OUT_MS = 1000
/** So long a sink that hangs may take to let go of what it has. */
const CLOSE_MS = 2000

/** Dead letters on their way: of no place in the stream. What the sink rejects of one is told there. */
interface Letter {
  readonly rejected: (cause: TailraceError | undefined) => void
}

type Item = BatchItem | { readonly barrier: Barrier }

interface BatchItem {
  readonly batch: Batch
  readonly done?: () => void
  records: number
  readonly letter?: Letter | undefined
  /** What is counted for it, about. */
  held: number
}

/** Items that are written at once, and what of them is left to be; `isFull`: whatever may follow them. */
interface Gathered {
  readonly items: readonly Item[]
  readonly batches: readonly Batch[]
  readonly isFull: boolean
  /** Barriers that are left out, with those before them. */
  readonly leftOut: number
}

interface Ready {
  readonly items: readonly Item[]
  readonly batch: Batch | undefined
}

/** What a batch takes beside its bytes and numbers, however few these are: where rows come one by one thousands are on their way. */
const BATCH_BYTES = 1024

/** What a sink makes durable, and goes on taking batches meanwhile if it says so. */
interface Flushing {
  readonly barrier: Barrier
  readonly mark: Promise<SinkMark>
  /** How many items stand before its end: up to its barrier. */
  readonly items: number
  /** Batches that were made of them. */
  readonly joined: readonly Batch[]
  isSettled: boolean
}

/** Of memory, about. */
export function memoryOf({ heldBytes }: Batch): number {
  return heldBytes + BATCH_BYTES
}

/**
 * One sink and what is on the way to it. Batches are kept until a barrier behind them was passed, and given once more
 * when the sink fails before: so a sink has nothing to mend, it is closed and opened anew.
 */
export class Lane {
  readonly config: SinkConfig
  /** Received bytes of the batches that are not durable yet. */
  bytes = 0
  /** What these batches take, about. */
  held = 0
  /** The last barrier that was passed, or 0. */
  passed = 0
  /** The last barrier whose mark is recorded, or 0. */
  recordedAt = 0
  /** `run` has ended. */
  done = false
  readonly #listener: LaneListener
  readonly #sink: Sink
  readonly #abort = new AbortController()
  /** Aborts a wait between two tries. */
  readonly #impatient = new AbortController()
  #mark: SinkMark | undefined
  /** Of the last batch that is not kept any more. */
  #forgotten: StreamPosition | undefined
  #ahead: Ahead | undefined
  #open = false
  #items: Item[] = []
  /** Of `#items`, the one to be given next. */
  #next = 0
  /** Told to the sink as what comes next, in order. */
  #ready: Ready[] = []
  /** What the sink is writing. */
  #writing: readonly Item[] | undefined
  #flushing: Flushing | undefined
  #recorded: SinkMark | undefined
  #ended = false
  #attempts = 0
  #wake: (() => void) | undefined
  #working = false
  #leftOut = 0
  /** Batches that were made of items, and written. */
  #joinedOnes: Batch[] = []
  /** When the last barrier was passed. */
  #passedAt = 0
  #records = 0
  #delivered = 0
  #letters = 0
  /** Not to be given to the sink yet. */
  readonly #waiting: { readonly item: Item; readonly held: boolean }[] = []
  #released = 0

  constructor(config: SinkConfig, listener: LaneListener) {
    this.config = config
    this.#listener = listener
    this.#sink = config.create()
    this.#sink.listen?.((event) => listener.event({ ...event, sink: this.name }))
  }

  get name(): string {
    return this.config.name
  }

  get summary(): SinkSummary {
    return {
      name: this.name,
      type: this.config.type,
      records: this.#records,
      bytes: this.#delivered,
      deadLetters: this.#letters,
      outages: this.#sink.outages,
    }
  }

  get isOpen(): boolean {
    return this.#open
  }

  get storesPosition(): boolean {
    return this.#sink.storesPosition === true
  }

  /** What is durable is not looked into any more. */
  get releasesBatches(): boolean {
    return this.#sink.releasesBatches === true
  }

  get gathers(): boolean {
    return this.#sink.gathersBytes !== undefined
  }

  get isSlow(): boolean {
    return this.#sink.isSlow === true
  }

  /** The sink has nothing behind the position with which it goes on. */
  get isExact(): boolean {
    return this.storesPosition || this.#sink.takesBack === true
  }

  /**
   * Gives the position that the sink has stored itself; undefined: none. Tries again as it is set. `mark`: recorded of the
   * sink, and to be told to it; undefined if nothing is.
   */
  async open(mark: SinkMark | undefined): Promise<StreamPosition | undefined> {
    this.#mark = this.#recorded = mark
    for (;;) {
      try {
        const stored = await this.#sink.open(this.#mark)
        this.#open = true
        return stored == null ? undefined : StreamPosition.parse(stored)
      } catch (error) {
        if ((await this.#afterwards(error)) !== 'again') throw error
      }
    }
  }

  /** Of a sink of which nothing is recorded: where it is now. */
  async firstMark(): Promise<SinkMark> {
    this.#mark = await this.#sink.flush({ end: false })
    return this.#mark
  }

  /** It has everything up to there already. */
  startAt(position: StreamPosition): void {
    this.#ahead = { position, sameRun: false }
  }

  /** `held`: until the barrier behind it was released. `done` is called when the batch is durable. */
  give(batch: Batch, { held = false, done = () => {} } = {}): void {
    this.#add(this.#holding({ batch, done, records: 0, held: 0 }), held)
  }

  /** A dead letter, to be written once more; `rejected` hears how that went, each time it is tried. */
  giveLetter(batch: Batch, rejected: Letter['rejected']): void {
    this.#add(this.#holding({ batch, records: 0, letter: { rejected }, held: 0 }))
  }

  /** What it rejects the sink puts aside itself. */
  get putsAside(): boolean {
    return this.#sink.deadLetters !== undefined
  }

  /** Up to this barrier nothing is held any more. */
  release(barrier: number): void {
    if (barrier <= this.#released) return
    this.#released = barrier
    this.#letGo()
  }

  giveBarrier(barrier: Barrier): void {
    this.#add({ barrier })
  }

  /** What the sink gave as its mark at that barrier is recorded. */
  tellRecorded(mark: SinkMark, barrier: number): void {
    this.#recorded = mark
    this.recordedAt = barrier
    this.#listener.moved()
    this.#wake?.()
  }

  dueAt(): number | undefined {
    return this.#open ? this.#sink.dueAt?.() : undefined
  }

  /** Nothing more will be given: `run` resolves when all is done. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** From now on it does not wait for better times. */
  hurry(): void {
    this.#impatient.abort()
  }

  /** Ends it where it is. */
  stop(): void {
    this.#impatient.abort()
    this.#abort.abort()
    this.#wake?.()
  }

  /** Works until its end, or until it is stopped; rejects with what the policy does not let pass. */
  async run(): Promise<void> {
    this.#working = true
    try {
      while (!this.#abort.signal.aborted) {
        try {
          if (!(await this.#step())) return
        } catch (error) {
          const next = await this.#afterwards(error)
          if (next === 'fail') throw error
          if (next === 'leave') return
        }
      }
    } finally {
      // Nothing that is under way is closed.
      await this.#flushed()
      this.done = true
      this.#working = false
      this.#listener.moved()
    }
  }

  /** What still hangs in a call is left to the end of the process, if it cannot be closed there: see `closesWhileBusy`. */
  async close(): Promise<void> {
    if (this.#working && this.#sink.closesWhileBusy !== true) return
    this.#open = false
    const closing = this.#sink.close()
    if (!this.#working) return closing
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS)
    })
    await Promise.race([closing, late]).finally(() => clearTimeout(timer))
  }

  /** False at the end. */
  async #step(): Promise<boolean> {
    if (!this.#open) await this.#reopen()
    if (this.#flushing?.isSettled === true) return this.#passFlushed(this.#flushing)
    if (this.#recorded !== undefined && this.#flushing === undefined) {
      const mark = this.#recorded
      await this.#sink.recorded?.(mark)
      if (this.#recorded === mark) this.#recorded = undefined
      return true
    }
    const item = this.#items[this.#next]
    if (item === undefined) {
      if (this.#ended && this.#flushing === undefined) return false
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      return true
    }
    if ('batch' in item) await this.#write()
    else if (this.#isLeftOut(this.#next, this.#leftOut)) {
      this.#leftOut++
      this.#next++
    } else {
      if (this.#flushing !== undefined) return this.#passFlushed(this.#flushing)
      const flushing = this.#flush(item.barrier)
      if (this.#sink.writesDuringFlush !== true) return this.#passFlushed(flushing)
    }
    return true
  }

  #flush(barrier: Barrier): Flushing {
    const mark = this.#sink.flush({ end: barrier.end !== undefined, durable: barrier.durable })
    const joined = this.#joinedOnes.splice(0)
    const flushing: Flushing = { barrier, mark, items: ++this.#next, joined, isSettled: false }
    this.#leftOut = 0
    const settle = () => {
      flushing.isSettled = true
      this.#wake?.()
    }
    mark.then(settle, settle)
    this.#flushing = flushing
    return flushing
  }

  /** False at the end. */
  async #passFlushed(flushing: Flushing): Promise<boolean> {
    const mark = await flushing.mark
    this.#flushing = undefined
    // The run is over: what was recorded last is where another one may have gone on from.
    if (this.#abort.signal.aborted) return false
    this.#pass(flushing, mark)
    return true
  }

  /** Whatever was to be made durable is, or is not: it counts for nothing any more. */
  async #flushed(): Promise<void> {
    await this.#flushing?.mark.catch(() => {})
    this.#flushing = undefined
  }

  async #write(): Promise<void> {
    const first = this.#items[this.#next]
    if (this.#ready[0]?.items[0] !== first) this.#ready = []
    const gathered = this.#ready.shift() ?? this.#joined(this.#gather(this.#next))
    const { items, batch } = gathered
    this.#writing = items
    const { wrote } = this.#listener
    const begun = wrote === undefined ? 0 : performance.now()
    const writing = batch === undefined ? undefined : this.#writeTo(batch, first)
    // When what is being written has gone out.
    const meanwhile = writing === undefined ? undefined : setImmediate(() => this.#prepare())
    try {
      await writing
    } finally {
      this.#writing = undefined
      clearImmediate(meanwhile)
    }
    if (batch !== undefined) wrote?.(this, batch.length, (performance.now() - begun) / 1000)
    this.#next += items.length
    for (const item of items) if ('batch' in item) this.#recount(item)
    if (batch !== undefined && !items.some((item) => 'batch' in item && item.batch === batch))
      this.#joinedOnes.push(batch)
  }

  #writeTo(batch: Batch, first: Item | undefined): Promise<void> {
    const letter = first !== undefined && 'batch' in first ? first.letter : undefined
    if (letter === undefined) return this.#sink.write(batch)
    letter.rejected(undefined)
    return this.#sink.write(batch, (_, cause) => letter.rejected(rejection(cause)))
  }

  /** Tells the sink what waits behind the batch that it is writing, if that will be written as it is now. */
  #prepare(): void {
    if (this.#sink.prepare === undefined || this.#writing === undefined) return
    while (this.#ready.length < (this.#sink.preparesBatches ?? 1)) {
      const last = (this.#ready.at(-1)?.items ?? this.#writing).at(-1)!
      let index = this.#items.indexOf(last) + 1
      while (index < this.#items.length && 'barrier' in this.#items[index]!) index++
      if (index === this.#items.length) return
      const gathered = this.#gather(index)
      if (!gathered.isFull || gathered.batches.length === 0) return
      const ready = this.#joined(gathered)
      this.#ready.push(ready)
      this.#sink.prepare(ready.batch!)
    }
  }

  /** As many of the items from a batch on as are written at once. */
  #gather(index: number): Gathered {
    const gathered: Batch[] = []
    let leftOut = this.#leftOut
    const most = this.#sink.gathersBytes ?? 0
    let bytes = 0
    let next = index
    let isFull = false
    for (; next < this.#items.length && !isFull; next++) {
      const item = this.#items[next]!
      if ('barrier' in item) {
        if (this.#isLeftOut(next, leftOut)) {
          leftOut++
          continue
        }
        isFull = true
        break
      }
      if (item.letter !== undefined && gathered.length > 0) break
      const isStreamed = this.#ahead !== undefined && item.letter === undefined
      const rest = isStreamed ? beyond(item.batch, this.#ahead!) : item.batch
      if (gathered.length > 0 && rest !== undefined) {
        // Of rows that are only copied with the batch that fills it: else each barrier, which comes as often, would leave a
        // small one behind, and of two copies side by side one would have nothing to do.
        const isEnough = rest.rows.areLines ? bytes >= most : bytes + rest.bytes > most
        isFull = isEnough || !gathered.at(-1)!.joins(rest)
        if (isFull) break
      }
      item.records = item.letter === undefined ? (rest?.length ?? 0) : 0
      if (rest !== undefined) gathered.push(rest)
      bytes += rest?.bytes ?? 0
      isFull = bytes >= most || item.letter !== undefined
    }
    return { items: this.#items.slice(index, next), batches: gathered, isFull, leftOut }
  }

  #joined({ items, batches, leftOut }: Gathered): Ready {
    this.#leftOut = leftOut
    return { items, batch: batches.length === 0 ? undefined : Batch.join(batches) }
  }

  /** `before`: as many were left out since the last that was not. */
  #isLeftOut(index: number, before: number): boolean {
    const item = this.#items[index]!
    if (!('barrier' in item) || item.barrier.together || before >= MAX_LEFT_OUT) return false
    if (this.isSlow && performance.now() - this.#passedAt > LEFT_OUT_MS) return false
    const next = this.#items.slice(index + 1).filter((one) => 'barrier' in one)
    if (!item.barrier.durable) return next.length > 0
    // Where the next one is that is durable, too, and not where the last one happens to be that may be left out.
    const behind = next.findIndex(({ barrier }) => barrier.durable)
    return behind >= 0 && before + 1 + behind <= MAX_LEFT_OUT
  }

  #pass({ barrier, items, joined }: Flushing, mark: SinkMark): void {
    this.#next -= items
    for (const item of this.#items.splice(0, items)) {
      if (!('batch' in item)) continue
      this.bytes -= item.batch.bytes
      this.held -= item.held
      if (item.letter !== undefined) continue
      if (item.batch.length > 0) this.#forgotten = StreamPosition.parse(item.batch.position)
      this.#records += item.records
      if (item.records > 0) this.#delivered += item.batch.bytes
      item.done?.()
    }
    if (this.releasesBatches) for (const { rows } of joined) rows.giveUp()
    this.#passedAt = performance.now()
    this.#tellDeadLetters()
    this.#mark = mark
    this.passed = barrier.id
    if (this.#attempts > 0 && barrier.durable) {
      this.#listener.event({ type: 'sink-recovered', sink: this.name, attempts: this.#attempts })
      this.#attempts = 0
    }
    const further = this.#ahead !== undefined && comparePlaces(this.#ahead.position.place, barrier.position.place) > 0
    const position = further ? this.#ahead!.position : barrier.position
    if (!further) this.#ahead = undefined
    this.#listener.passed(this, { barrier, position, mark })
    this.#listener.moved()
  }

  #tellDeadLetters(): void {
    const { count, problem } = this.#sink.deadLetters ?? { count: 0, problem: '' }
    if (count > this.#letters) {
      const more = count - this.#letters
      this.#listener.event({ type: 'sink-dead-letters', sink: this.name, count: more, problem })
    }
    this.#letters = count
  }

  async #reopen(): Promise<void> {
    const stored = await this.#sink.open(this.#mark)
    this.#open = true
    if (stored === undefined) return
    const position = stored === null ? undefined : StreamPosition.parse(stored)
    const kept = this.#forgotten
    if (kept !== undefined && (position === undefined || comparePlaces(position.place, kept.place) < 0)) {
      throw SINK_REWOUND({ sink: this.name })
    }
    if (position !== undefined) this.#ahead = { position, sameRun: true }
  }

  /** What follows an error, when it is time for it; `leave`: the rest is for the next start of the pipeline. */
  async #afterwards(error: unknown): Promise<'again' | 'leave' | 'fail'> {
    this.#open = false
    await this.#flushed()
    this.#next = this.#leftOut = 0
    this.#ready = []
    this.#joinedOnes = []
    await this.#sink.close().catch(() => {})
    if (this.#abort.signal.aborted) return 'leave'
    // Opened anew it would take back what another pipeline has, and that one after it.
    if (SINK_REWOUND.is(error) || DESTINATION_FENCED.is(error)) return 'fail'
    const { onError, retry } = this.config
    const passes = isTransient(error) || (error instanceof TailraceError && error.retry === 'later')
    if (!(passes || onError === 'retry')) return 'fail'
    if (this.#impatient.signal.aborted) return 'leave'
    const attempt = ++this.#attempts
    if (retry.attempts > 0 && attempt > retry.attempts) return 'fail'
    const delayMs = backoffMs(attempt, retry)
    this.#listener.event({ type: 'sink-retrying', sink: this.name, attempt, delayMs, cause: error as Error })
    await sleep(delayMs, this.#impatient.signal).catch(() => {})
    return 'again'
  }

  #holding(item: BatchItem): BatchItem {
    this.bytes += item.batch.bytes
    this.#recount(item)
    return item
  }

  /** A sink may have read lines, or have let go of numbers. */
  #recount(item: BatchItem): void {
    const held = memoryOf(item.batch)
    this.held += held - item.held
    item.held = held
  }

  #add(item: Item, held = false): void {
    this.#waiting.push({ item, held })
    this.#letGo()
  }

  /** What is held, and all behind it, comes when its barrier is released. */
  #letGo(): void {
    let free = 0
    while (free < this.#waiting.length && !this.#isHeld(free)) free++
    if (free === 0) return
    this.#items.push(...this.#waiting.splice(0, free).map(({ item }) => item))
    this.#wake?.()
    this.#prepare()
  }

  #isHeld(index: number): boolean {
    if (!this.#waiting[index]!.held) return false
    for (const { item } of this.#waiting.slice(index)) if ('barrier' in item) return item.barrier.id > this.#released
    return true
  }
}
