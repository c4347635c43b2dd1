import { sleep } from '../core/abort.js'
import { backoffMs } from '../core/backoff.js'
import type { TailraceError } from '../core/tailraceError.js'
import { formatLsn, type Lsn, laterLsn } from '../postgres/lsn.js'
import { ReplicationStream } from '../postgres/replication/stream.js'
import { isTransient, sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { AckLedger } from './ackLedger.js'
import type { Batch } from './batch.js'
import type { BatchQueue } from './batchQueue.js'
import { type ChangeCollector, type Collected, RepeatTransaction } from './changeCollector.js'
import type { SourceEvent } from './events.js'
import { comparePlaces, type StreamPosition } from './position.js'

export interface StreamLoopOptions {
  readonly slot: string
  readonly publications: readonly string[]
  /** Have the server send logical messages. */
  readonly messages: boolean
  /** The session that owns a temporary slot: it streams itself, and there is nothing to come back to without it. */
  readonly owner: Session | undefined
  readonly connect: () => Promise<Session>
  readonly collector: ChangeCollector
  readonly ledger: AckLedger
  readonly queue: BatchQueue<Batch>
  readonly toBatch: (collected: Collected) => Batch | Promise<Batch>
  readonly walSenderTimeoutMs: number
  /** Records are handed on in batches of about this size when the consumer is behind. */
  readonly batchBytes: number
  /** End when everything that committed before this LSN was handed on. */
  readonly until: Lsn | undefined
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

/** An advance without records is handed on this often: each is a write for a consumer that stores positions. */
const IDLE_ADVANCE_MS = 1000
/** How often to ask for the server's WAL end while `until` is not reached. */
const ASK_MS = 100
const BACKOFF = { firstMs: 200, maxMs: 10_000 }
/** Our own slot counts as active until the server notices the cut connection. */
const SLOT_ACTIVE = '55006'
const SLOT_ACTIVE_GRACE_MS = 10_000

/** Reads the stream into the queue, over as many connections as it takes. */
export class StreamLoop {
  readonly #options: StreamLoopOptions
  #stream: ReplicationStream | undefined
  #session: Session | undefined
  /** The last position handed on. */
  #offered: StreamPosition
  #lastOffer = performance.now()
  #connecting: Promise<void> = Promise.resolve()
  #asking: NodeJS.Timeout | undefined
  #finished = false

  constructor(options: StreamLoopOptions) {
    this.#options = options
    this.#offered = options.collector.position
    options.queue.onDemand = () => this.#onDemand()
  }

  /** Runs until `until` is reached, the signal aborts, or an error that waiting does not mend (it rejects then). */
  async run(): Promise<void> {
    const { signal, emit } = this.#options
    let attempt = 0
    let refusedSince = 0
    try {
      for (;;) {
        try {
          this.#connecting = this.#connect()
          await this.#connecting
          attempt = 0
          refusedSince = 0
          await this.#stream!.ended
          return
        } catch (error) {
          if (this.#finished || signal.aborted) return
          this.#disconnect()
          this.#options.collector.reconnected()
          if (error instanceof RepeatTransaction) continue
          if (sqlstateOf(error) === SLOT_ACTIVE) {
            refusedSince ||= performance.now()
            const limit = this.#options.walSenderTimeoutMs + SLOT_ACTIVE_GRACE_MS
            if (performance.now() - refusedSince > limit) throw error
            const seconds = Math.round((performance.now() - refusedSince) / 1000)
            emit({ type: 'slot-waiting', slot: this.#options.slot, seconds })
          } else if (!isTransient(error) || this.#options.owner !== undefined) throw error
          attempt++
          const delayMs = backoffMs(attempt, BACKOFF)
          emit({ type: 'reconnecting', attempt, delayMs, cause: error as TailraceError })
          await sleep(delayMs, signal)
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await this.stop()
    }
  }

  /** Tells the server soon what may be confirmed now. */
  confirmSoon(): void {
    this.#confirming ??= setTimeout(() => {
      this.#confirming = undefined
      this.#stream?.sendStatus()
    }, CONFIRM_MS)
  }
  #confirming: NodeJS.Timeout | undefined

  /** Ends the stream cleanly, with a last confirmation. */
  async stop(): Promise<void> {
    this.#finished = true
    clearInterval(this.#asking)
    clearTimeout(this.#confirming)
    // The end may be reached by what comes along with the answer to START_REPLICATION.
    await this.#connecting.catch(() => {})
    await this.#stream?.stop()
    if (this.#session !== this.#options.owner) await this.#session?.close()
    this.#session = undefined
  }

  async #connect(): Promise<void> {
    const { owner, connect, slot, publications, messages, collector, ledger, emit } = this.#options
    this.#session = owner ?? (await connect())
    const startLsn = laterLsn(collector.position.resumeLsn, ledger.confirmed)
    this.#stream = await ReplicationStream.start(
      this.#session,
      {
        slot,
        startLsn,
        walSenderTimeoutMs: this.#options.walSenderTimeoutMs,
        pluginOptions: {
          proto_version: '1',
          publication_names: publications.map((name) => `"${name.replaceAll('"', '""')}"`).join(','),
          ...(messages && { messages: 'true' }),
        },
      },
      {
        wal: (bytes, start, end, walPlace) => collector.collect(bytes, start, end, walPlace),
        keepalive: (walEnd, replyWanted) => this.#onKeepalive(walEnd, replyWanted),
        chunkEnd: () => this.#onChunkEnd(),
        confirmed: () => ledger.confirmed,
      },
    )
    emit({ type: 'streaming', slot, lsn: formatLsn(startLsn) })
    if (this.#options.until !== undefined && this.#asking === undefined && !this.#finished) {
      this.#asking = setInterval(() => this.#stream?.sendStatus(true), ASK_MS)
      this.#stream.sendStatus(true)
    }
  }

  #disconnect(): void {
    this.#stream = undefined
    if (this.#session !== this.#options.owner) this.#session?.destroy()
    this.#session = undefined
  }

  #onKeepalive(walEnd: Lsn, replyWanted: boolean): void {
    const { collector } = this.#options
    if (!collector.betweenTransactions) return
    collector.idle(walEnd)
    // A server that wants a reply may be shutting down: it waits until all it sent is confirmed.
    if (replyWanted || performance.now() - this.#lastOffer >= IDLE_ADVANCE_MS) this.#offerAdvance()
  }

  #onChunkEnd(): void {
    const { collector, queue, batchBytes } = this.#options
    if (collector.count > 0) {
      if (queue.hungry || collector.bytes >= batchBytes) this.#handOn()
      if (queue.full) this.#stream?.pause()
    } else if (performance.now() - this.#lastOffer >= IDLE_ADVANCE_MS) this.#offerAdvance()
    if (this.#reached()) this.#finish()
  }

  /** The consumer waits, or has made room. */
  #onDemand(): void {
    if (this.#options.collector.count > 0) this.#handOn()
    if (!this.#options.queue.full) this.#stream?.resume()
  }

  #handOn(): void {
    const { collector, ledger, queue, toBatch } = this.#options
    const collected = collector.take()
    ledger.offer(collected.position, collected.confirmable)
    this.#offered = collected.position
    this.#lastOffer = performance.now()
    queue.push(toBatch(collected), collected.batch.bytes)
  }

  /** An empty batch, if there is an advance to record, and the consumer has nothing else to do. */
  #offerAdvance(): void {
    const { collector, queue } = this.#options
    const ahead = comparePlaces(collector.position.place, this.#offered.place) > 0
    if (ahead && queue.hungry && collector.betweenTransactions) this.#handOn()
  }

  #reached(): boolean {
    const { until, collector } = this.#options
    return until !== undefined && collector.betweenTransactions && collector.position.resumeLsn >= until
  }

  #finish(): void {
    if (this.#finished) return
    this.#finished = true
    clearInterval(this.#asking)
    const { collector, queue } = this.#options
    if (collector.count > 0 || comparePlaces(collector.position.place, this.#offered.place) > 0) this.#handOn()
    queue.end()
  }
}

/** Acknowledgements are told to the server at most this late; each status update costs it a write of the slot. */
const CONFIRM_MS = 500
