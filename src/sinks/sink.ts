import type { PositionJson } from '../core/record.js'
import type { KeyEvent } from '../destination/keyEvent.js'
import type { Batch } from '../source/batch.js'

/**
 * What a sink wants to be told again when it is opened the next time: an object that JSON can hold, or null, and nobody
 * else looks into it. The name `deadLetters` in it is taken.
 */
export type SinkMark = { readonly [name: string]: unknown } | null

export interface FlushOptions {
  /** Nothing will follow. */
  readonly end: boolean
  readonly durable?: boolean
}

/** A record, by its index in the batch, that no other try could write; `cause`: why, for whoever looks at it later. */
export type Reject = (index: number, cause: Error) => void

/** What a sink tells besides errors. */
export type SinkEvent =
  | KeyEvent
  | CircuitEvent
  /** What an operator may want to know, in a sentence without a full stop. */
  | { readonly type: 'sink-notice'; readonly message: string }

/** An endpoint that fails again and again is left alone for a while, and asked once then; or it is back. */
export type CircuitEvent =
  | {
      readonly type: 'circuit-opened'
      readonly endpoint: string
      /** In a row. */
      readonly failures: number
      readonly seconds: number
      readonly cause: Error
    }
  | { readonly type: 'circuit-closed'; readonly endpoint: string; readonly seconds: number }

/** How often, and how long in all, a sink left its endpoint alone. */
export interface Outages {
  readonly count: number
  readonly seconds: number
}

/** What a sink has put aside since it was made. */
export interface DeadLetterCount {
  readonly count: number
  /** Why the last one was. */
  readonly problem: string
}

/**
 * Where records go. `open`, `write`, `flush` and `close` are what a sink must have. `sinkContract` of `tailrace/testing`
 * checks all that stands here.
 *
 * **What may be relied upon.** A pipeline calls one of `open`, `write`, `flush` and `recorded` at a time, in the order of
 * the stream, and the next one when the promise of the one before has resolved; only `close` may come while another hangs, and
 * `write` while a `flush` does, each of a sink that says so.
 * Batches of one run come in the source's order, whole transactions or parts of them, each record with an `id` that is the
 * same whenever it comes again.
 *
 * **What is durable** is what was written before a `flush` that resolved: only that is recorded, and only what all sinks
 * of a pipeline have durable is confirmed to the server. Whatever a sink has beyond that comes once more after a crash:
 * `open` gets the mark of what was recorded, and takes back what stands behind it, if that can be done. A sink that
 * stores the position together with the data, in one transaction, gives that position instead, and gets what follows it.
 *
 * **Errors**: any method may reject. The sink is closed then, and opened anew with the mark of its last `flush` after a
 * while, if its pipeline tries again; all batches since that `flush` come again. So nothing has to be mended in place.
 * An error whose property `retry` is `'later'`, or whose `code` is that of a lost connection (`ECONNRESET`), passes by itself:
 * it is tried again whatever `onError` says. A `hint` of its own is shown.
 *
 * **Back-pressure**: while `write` has not resolved no more is read than the pipeline's `bufferBytes`. A sink that hands on
 * without waiting has to wait itself before it holds more than some megabytes.
 */
export interface Sink {
  /** It stores the position with the data, and gives it when it is opened. Default: false. */
  readonly storesPosition?: boolean
  /**
   * `open` takes back all that stands behind its mark. Of a sink that neither does nor stores positions it is taken that it
   * keeps what it got beyond its mark: of rows that it may have from there it is told when they are gone. Default: false.
   */
  readonly takesBack?: boolean
  /**
   * It does not look into a batch any more when the `flush` behind it has resolved: its memory may then be used for batches to
   * come, if all sinks of the pipeline say so. Default: false, whoever keeps records finds in them what he got.
   */
  readonly releasesBatches?: boolean
  /**
   * How many received bytes of batches that wait are to be written as one; undefined: each as it came. For a sink to which
   * a batch costs much, however small.
   */
  readonly gathersBytes?: number
  /**
   * It may take long for what lies between two calls of `flush`, as one that waits for answers: it is called sooner, so that less comes
   * once more after a crash.
   */
  readonly isSlow?: boolean
  /**
   * `close` may come while another call hangs, which rejects then. Of a sink that does not say so what hangs is left to the end of
   * the process: a file must not be closed under whoever writes to it. Default: false.
   */
  readonly closesWhileBusy?: boolean
  /**
   * `write` may come while a `flush` has not resolved: what it is given then is of the next one. Whoever waits for a disk, which
   * has nothing else to do meanwhile, says so. Default: false.
   */
  readonly writesDuringFlush?: boolean
  /** Who is told of what goes on in it. Called once, before anything else. */
  listen?(tell: (event: SinkEvent) => void): void
  /**
   * Makes everything ready. `mark` is what `flush` gave last: in an earlier run of what was recorded, in this one before
   * the sink failed; undefined where nothing ever was.
   * Gives the position up to which the sink has everything, if it stores that itself with the data (null: nothing yet);
   * else undefined, or nothing.
   */
  open(mark: SinkMark | undefined): Promise<PositionJson | null | undefined> | Promise<void>
  /**
   * Takes the records of a batch, in order. They need not be durable when this resolves. A batch may be empty: then it only
   * carries a position. With `reject` a record that could never be written is told to it and left out, and does not make
   * the batch fail; it is kept elsewhere before the next `flush` resolves. Whoever cannot write a record and has no `reject`
   * rejects. `reject` may be called until that `flush` resolves, also behind `write`.
   */
  write(batch: Batch, reject?: Reject): Promise<void>
  /** Of a sink that puts records aside itself: so many, since it was made. */
  readonly deadLetters?: DeadLetterCount | undefined
  /** Of a sink that leaves an endpoint alone when that fails. */
  readonly outages?: Outages | undefined
  /**
   * A batch that most likely comes behind those it was told of, while one is being written: what can be done for it without
   * waiting may be done meanwhile. Must not throw.
   */
  prepare?(next: Batch): void
  /** How many batches it wants to be told of in that way, while one is being written; one where it does not say. */
  readonly preparesBatches?: number
  /**
   * Makes durable what was written, and gives what `open` is to be told of it. Called a few times a second while records
   * come, also when there were none since the last time; `end` is set when the pipeline ends and nothing will follow.
   * A sink that stores positions may keep a transaction open while `position.repeats` would not let anybody go on from
   * there, such as in the middle of a table without a key: if that is lost, the whole run begins again at what is stored.
   *
   * `durable: false`: nothing will be recorded of this call, a later one makes durable what was written before it, too. It is enough if
   * what was written needs not come again when the sink is opened anew by this process. Default: true.
   */
  flush(options: FlushOptions): Promise<SinkMark>
  /**
   * What `flush` gave is recorded: it will never be taken back. Where outsiders are to see only such, it is shown here. Also
   * called behind the first `open` of a run, with the same mark.
   */
  recorded?(mark: SinkMark): Promise<void>
  /** When `flush` should be called though nothing comes, in milliseconds since 1970; undefined: no need. */
  dueAt?(): number | undefined
  /**
   * Lets go of files, connections and timers, also after an error, also of an `open` that failed, and when it is called
   * again or before anything else. What was not flushed need not be kept. The same sink may be opened once more.
   */
  close(): Promise<void>
}
