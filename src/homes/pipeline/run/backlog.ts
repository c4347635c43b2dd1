import type { TailraceError } from '../../../core/tailraceError.js'
import type { Sink } from '../../../sinks/sink.js'
import { Batch } from '../../../source/batch.js'
import { comparePlaces, type StreamPosition } from '../../../source/position.js'
import type { Barrier } from './barriers.js'
import { type Ahead, beyond } from './resume.js'

/** A sink that is behind makes durable several places at once, but not too many. */
const MAX_LEFT_OUT = 8
/** One that may take long for what lies between two of them leaves none out when so long has passed since the last. */
const LEFT_OUT_MS = 1000
/** What a batch takes beside its bytes and numbers, however few these are: where rows come one by one thousands are on their way. */
const BATCH_BYTES = 1024

/** Of memory, about. */
export function memoryOf({ heldBytes }: Batch): number {
  return heldBytes + BATCH_BYTES
}

/** Dead letters on their way: of no place in the stream. What the sink rejects of one is told there. */
export interface Letter {
  readonly rejected: (cause: TailraceError | undefined) => void
}

/** A batch that is kept until a barrier behind it was passed. */
interface Kept {
  readonly batch: Batch
  readonly done?: (() => void) | undefined
  readonly letter?: Letter | undefined
  /** Of these the sink has not had before. */
  records: number
  /** What is counted for it, about. */
  held: number
}

type Item = Kept | { readonly barrier: Barrier }

/** Items that are written at once, and what of them is left to be; `isFull`: whatever may follow them. */
interface Gathered {
  readonly items: readonly Item[]
  readonly batches: readonly Batch[]
  readonly isFull: boolean
  /** Barriers that are left out, with those before them. */
  readonly leftOut: number
}

/** What the sink is to write at once. */
export interface Run {
  readonly items: readonly Item[]
  /** Undefined: the sink has all of it. */
  readonly batch: Batch | undefined
  /** The batch is one. */
  readonly letter: Letter | undefined
}

/** What lay before a barrier that was passed. */
export interface Done {
  /** In order, without letters. */
  readonly kept: readonly Kept[]
  /** Batches that were made of these, and written. */
  readonly joined: readonly Batch[]
  /** Where the sink is: behind the barrier, if it was further already. */
  readonly position: StreamPosition
}

/**
 * Batches on their way to a sink, and the barriers among them: each is kept until a barrier behind it was passed, so that all
 * can be given once more. Decides what is written at once, and which barriers a sink that is behind leaves out. No call to it, no timer.
 */
export class Backlog {
  /** Received bytes of the batches. */
  bytes = 0
  /** What they take, about. */
  held = 0
  readonly #wishes: Pick<Sink, 'gathersBytes' | 'isSlow'>
  readonly #onMore: () => void
  #items: Item[] = []
  /** Of `#items`, the one to be given next. */
  #next = 0
  /** To be written next, in order, and told to the sink so. */
  #ready: Run[] = []
  #writing: Run | undefined
  #leftOut = 0
  #joined: Batch[] = []
  /** Of `#items` as many as lie up to the barrier that is being passed, and what was joined of them. */
  #passing = { items: 0, joined: [] as readonly Batch[] }
  /** When the last barrier was passed. */
  #passedAt = 0
  #ahead: Ahead | undefined
  /** Not to be given to the sink yet. */
  readonly #waiting: { readonly item: Item; readonly isHeld: boolean }[] = []
  #released = 0

  /** `wishes`: the sink's. `onMore`: there is more that may be written. */
  constructor(wishes: Pick<Sink, 'gathersBytes' | 'isSlow'>, onMore: () => void) {
    this.#wishes = wishes
    this.#onMore = onMore
  }

  /** `held`: until the barrier behind it was released. `done` is called when the batch is durable. */
  add(batch: Batch, held: boolean, done: () => void): void {
    this.#add(this.#holding({ batch, done, records: 0, held: 0 }), held)
  }

  addLetter(batch: Batch, letter: Letter): void {
    this.#add(this.#holding({ batch, letter, records: 0, held: 0 }), false)
  }

  addBarrier(barrier: Barrier): void {
    this.#add({ barrier }, false)
  }

  /** Up to this barrier nothing is held any more. */
  release(barrier: number): void {
    if (barrier <= this.#released) return
    this.#released = barrier
    this.#letGo()
  }

  /** The sink has everything up to there already. */
  skipTo(ahead: Ahead): void {
    this.#ahead = ahead
  }

  /** What is to be done next: a barrier, or a run; undefined: nothing. */
  get next(): Barrier | 'run' | undefined {
    const item = this.#items[this.#next]
    if (item === undefined) return undefined
    return 'barrier' in item ? item.barrier : 'run'
  }

  /** Whether the barrier that is next is left out: then it is behind us. */
  leavesOut(): boolean {
    if (!this.#isLeftOut(this.#next, this.#leftOut)) return false
    this.#leftOut++
    this.#next++
    return true
  }

  /** The run that is next is being written from now on. */
  take(): Run {
    if (this.#ready[0]?.items[0] !== this.#items[this.#next]) this.#ready = []
    this.#writing = this.#ready.shift() ?? this.#joinedOf(this.#gather(this.#next))
    return this.#writing
  }

  /** Nothing is being written. */
  rests(): void {
    this.#writing = undefined
  }

  /** It was written. */
  wrote({ items, batch }: Run): void {
    this.#next += items.length
    for (const item of items) if ('batch' in item) this.#recount(item)
    const isJoined = batch !== undefined && !items.some((item) => 'batch' in item && item.batch === batch)
    if (isJoined) this.#joined.push(batch)
  }

  /**
   * What will follow what is being written, and what follows already, as it is now; `most`: so many at once. Undefined: there are as
   * many, or more may come to it.
   */
  prepare(most: number): Batch | undefined {
    if (this.#writing === undefined || this.#ready.length >= most) return undefined
    const last = (this.#ready.at(-1) ?? this.#writing).items.at(-1)!
    let index = this.#items.indexOf(last) + 1
    while (index < this.#items.length && 'barrier' in this.#items[index]!) index++
    if (index === this.#items.length) return undefined
    const gathered = this.#gather(index)
    if (!gathered.isFull || gathered.batches.length === 0) return undefined
    const run = this.#joinedOf(gathered)
    this.#ready.push(run)
    return run.batch
  }

  /** The barrier that is next is being passed from now on, and what follows may be written meanwhile. */
  beginPass(): void {
    this.#passing = { items: ++this.#next, joined: this.#joined.splice(0) }
    this.#leftOut = 0
  }

  /** It was passed: what lies before it is forgotten. */
  pass({ position }: Barrier): Done {
    const { items: count, joined } = this.#passing
    this.#next -= count
    const items = this.#items.splice(0, count).filter((item) => 'batch' in item)
    for (const { batch, held } of items) {
      this.bytes -= batch.bytes
      this.held -= held
    }
    this.#passedAt = performance.now()
    const further = this.#ahead !== undefined && comparePlaces(this.#ahead.position.place, position.place) > 0
    const place = further ? this.#ahead!.position : position
    if (!further) this.#ahead = undefined
    return { kept: items.filter(({ letter }) => letter === undefined), joined, position: place }
  }

  /** All that is kept is to be given once more. */
  rewind(): void {
    this.#next = this.#leftOut = 0
    this.#ready = []
    this.#joined = []
  }

  /** As many of the items from a batch on as are written at once. */
  #gather(index: number): Gathered {
    const gathered: Batch[] = []
    let leftOut = this.#leftOut
    const most = this.#wishes.gathersBytes ?? 0
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

  #joinedOf({ items, batches, leftOut }: Gathered): Run {
    this.#leftOut = leftOut
    const [first] = items
    const letter = first !== undefined && 'batch' in first ? first.letter : undefined
    return { items, batch: batches.length === 0 ? undefined : Batch.join(batches), letter }
  }

  /** `before`: as many were left out since the last that was not. */
  #isLeftOut(index: number, before: number): boolean {
    const item = this.#items[index]!
    if (!('barrier' in item) || item.barrier.together || before >= MAX_LEFT_OUT) return false
    if (this.#wishes.isSlow === true && performance.now() - this.#passedAt > LEFT_OUT_MS) return false
    const next = this.#items.slice(index + 1).filter((one) => 'barrier' in one)
    if (!item.barrier.durable) return next.length > 0
    // Where the next one is that is durable, too, and not where the last one happens to be that may be left out.
    const behind = next.findIndex(({ barrier }) => barrier.durable)
    return behind >= 0 && before + 1 + behind <= MAX_LEFT_OUT
  }

  #holding(item: Kept): Kept {
    this.bytes += item.batch.bytes
    this.#recount(item)
    return item
  }

  /** A sink may have read lines, or have let go of numbers. */
  #recount(item: Kept): void {
    const held = memoryOf(item.batch)
    this.held += held - item.held
    item.held = held
  }

  #add(item: Item, isHeld: boolean): void {
    this.#waiting.push({ item, isHeld })
    this.#letGo()
  }

  /** What is held, and all behind it, comes when its barrier is released. */
  #letGo(): void {
    let free = 0
    while (free < this.#waiting.length && !this.#isHeld(free)) free++
    if (free === 0) return
    this.#items.push(...this.#waiting.splice(0, free).map(({ item }) => item))
    this.#onMore()
  }

  #isHeld(index: number): boolean {
    if (!this.#waiting[index]!.isHeld) return false
    for (const { item } of this.#waiting.slice(index)) if ('barrier' in item) return item.barrier.id > this.#released
    return true
  }
}
