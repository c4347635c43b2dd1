import { sleep } from '../core/abort.js'
import { backoffMs } from '../core/backoff.js'
import { CONNECTION_LOST, SLOT_ACTIVE as SLOT_HELD } from '../core/errors.js'
import type { ChunkRange } from '../core/record.js'
import type { RowBatch } from '../core/rowBatch.js'
import type { TailraceError } from '../core/tailraceError.js'
import { formatLsn, type Lsn, laterLsn } from '../postgres/lsn.js'
import type { Queryable } from '../postgres/queryable.js'
import { ReplicationStream } from '../postgres/replication/stream.js'
import { walSenderTimeoutMs } from '../postgres/replication/walSenderTimeout.js'
import { isTransient, sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { AckLedger } from './ackLedger.js'
import type { Batch } from './batch.js'
import type { BatchQueue } from './batchQueue.js'
import { type ChangeCollector, type Collected, RepeatTransaction } from './changeCollector.js'
import type { SourceEvent } from './events.js'
import { Intake } from './intake.js'
import { comparePlaces, type StreamPosition } from './position.js'
import type { SnapshotProgress } from './scan/progress.js'
import type { ScanOutlet, Scans } from './scan/scans.js'
import { ShutdownWatch } from './shutdownWatch.js'
import { SlotWait } from './slotWait.js'
import { giveUpStreaming, type Streaming, setWorkMem } from './spool/streaming.js'
import { TransactionSpool } from './spool/transactionSpool.js'
import type { StreamFacts } from './stall.js'
import { checkServer, checkSlotPlace, explainStreamError } from './streamChecks.js'

export interface StreamLoopOptions {
  readonly slot: string
  readonly publications: readonly string[]
  /** Have the server send logical messages. */
  readonly messages: boolean
  /** The session that owns a temporary slot: it streams itself, and there is nothing to come back to without it. */
  readonly owner: Session | undefined
  readonly connect: () => Promise<Session>
  /** A session with the host of this one that asks nothing: whether the server takes any. */
  readonly probe: (session: Session) => Promise<Session>
  /** For questions about the slot; `renew` drops its connection, which may have died in silence along with ours. */
  readonly control: Queryable & { renew(): void }
  readonly collector: ChangeCollector
  readonly ledger: AckLedger
  readonly queue: BatchQueue<Batch>
  readonly toBatch: (collected: Collected) => Batch | Promise<Batch>
  /** Tables whose rows are read meanwhile, and a batch of such rows. */
  readonly scans: Scans
  readonly scannedBatch: (
    rows: RowBatch,
    position: StreamPosition,
    progressAt: (index: number) => SnapshotProgress,
    range: ChunkRange | undefined,
  ) => Batch
  /** Records are handed on in batches of about this size when the consumer is behind. */
  readonly batchBytes: number
  /** End when everything that committed before this LSN was handed on. */
  readonly until: Lsn | undefined
  /** How to have large transactions sent while they run; undefined: when they have committed. */
  readonly streaming: Streaming | undefined
  /** Memory that the server may use before it spills or streams, as `logical_decoding_work_mem` takes it. */
  readonly workMem: string | undefined
  readonly emit: (event: SourceEvent) => void
}

/** An advance without records is handed on this often: each is a write for a consumer that stores positions. */
const IDLE_ADVANCE_MS = 1000
/** Rows that are read meanwhile wait at most so far ahead of the consumer: changes stand behind them. */
const SCAN_AHEAD_BYTES = 512 * 1024
/** How often to ask for the server's WAL end while `until` is not reached. */
const ASK_MS = 100
/** Acknowledgements are told to the server at most this late; each status update costs it a write of the slot. */
const CONFIRM_MS = 500
/** A stream that lived so long was no failure. */
const LASTING_MS = 10_000
const BACKOFF = { firstMs: 200, maxMs: 10_000 }
/** Our own slot counts as active until the server notices the cut connection. */
const SLOT_ACTIVE = '55006'
/** Of a server that shuts down, too. */
const CANNOT_CONNECT_NOW = '57P03'
const DEFAULT_TIMEOUT_MS = 60_000

/** Reads the stream into the queue, over as many connections as it takes. */
export class StreamLoop {
  readonly #options: StreamLoopOptions
  readonly #stopping = new AbortController()
  #stream: ReplicationStream | undefined
  #session: Session | undefined
  #walSenderTimeoutMs = DEFAULT_TIMEOUT_MS
  /** What the stream brings is what follows our position: until that is known nothing is handed on. */
  #trusted = false
  /** Where the first connection began of which that is not known: what came since proves nothing. */
  #unproved: Lsn | undefined
  /** The last position handed on. */
  #offered: StreamPosition
  #lastOffer = performance.now()
  #connecting: Promise<void> = Promise.resolve()
  #asking: NodeJS.Timeout | undefined
  #confirming: NodeJS.Timeout | undefined
  /** `until` is reached: nothing more is read. */
  #finished = false
  #failure: { readonly error: unknown } | undefined

  readonly #intake = new Intake({
    take: (bytes, start, end, walPlace) => this.#take(bytes, start, end, walPlace),
    taken: () => this.#onTaken(),
    onEmpty: () => this.#onDemand(),
    onFailure: (error) => this.#stream?.fail(error),
  })
  /** Received or taken, over all connections: what is spooled comes twice. */
  #messages = 0

  /** Until streaming fails: then the run goes on without. */
  #spool: TransactionSpool | undefined

  readonly #shutdown = new ShutdownWatch({
    probe: () => this.#refusedByShutdown(),
    settled: () => this.#options.ledger.settled,
    leave: () => this.#stream?.leave(CONNECTION_LOST({ to: 'the walsender', problem: 'the server is shutting down' })),
  })

  readonly #outlet: ScanOutlet = {
    isOpen: () => this.#takesRows(),
    flush: () => {
      if (this.#options.collector.count > 0) this.#handOn()
    },
    push: (rows, progressAt, range) => this.#pushRows(rows, progressAt, range),
    decided: () => this.#intake.drain(),
    advanced: () => {
      this.#offerAdvance()
      if (this.#reached()) this.#finish()
    },
    waitingKeys: (scan) => this.#options.collector.keysOf(scan, this.#intake.waiting()),
  }
  #scanning: Promise<void> | undefined

  constructor(options: StreamLoopOptions) {
    this.#options = options
    this.#offered = options.collector.position
    options.queue.onDemand = () => this.#onDemand()
    if (options.streaming === undefined) return
    this.#spool = new TransactionSpool({
      ...options.streaming,
      intake: this.#intake,
      onRoom: () => this.#onDemand(),
      onProgress: (xid, bytes) => options.emit({ type: 'large-transaction', xid, bytes }),
      onFailure: (error) => this.#stream?.fail(error),
    })
  }

  /** Runs until it is stopped, or an error that waiting does not mend (it rejects then). */
  async run(): Promise<void> {
    const { slot, emit, owner, collector, control } = this.#options
    const { signal } = this.#stopping
    let attempt = 0
    let waiting: SlotWait | undefined
    this.#spool?.start()
    while (!signal.aborted) {
      const begun = performance.now()
      const { readTo } = collector
      try {
        this.#connecting = this.#connect()
        await this.#connecting
        waiting = undefined
        await this.#stream?.ended
        if (this.#failure !== undefined) throw this.#failure.error
        return
      } catch (error) {
        if (this.#failure !== undefined) throw this.#failure.error
        if (this.#finished || signal.aborted) return
        this.#disconnect()
        this.#intake.clear()
        this.#spool?.clear()
        collector.reconnected()
        if (error instanceof RepeatTransaction) continue
        if (await this.#givesUpStreaming(error)) continue
        // A stream that dies as soon as it has begun is no success: what it brings may be what kills it.
        if (collector.readTo > readTo || performance.now() - begun > LASTING_MS) attempt = 0
        attempt++
        const delayMs = backoffMs(attempt, BACKOFF)
        if (sqlstateOf(error) === SLOT_ACTIVE) {
          waiting ??= new SlotWait(this.#options.control, slot)
          const seconds = await waiting.refused(this.#walSenderTimeoutMs).catch((problem) => {
            if (SLOT_HELD.is(problem) || !isTransient(problem)) throw problem
            return 0 // the server is gone: the next attempt tells
          })
          emit({ type: 'slot-waiting', slot, seconds })
        } else if (isTransient(error) && owner === undefined) {
          control.renew()
          emit({ type: 'reconnecting', attempt, delayMs, cause: error as TailraceError })
        } else throw await this.#explain(error)
        await sleep(delayMs, signal).catch(() => {})
      }
    }
  }

  /** What a message waited for is there. */
  decided(): void {
    this.#intake.drain()
  }

  facts(): StreamFacts {
    const { collector, queue } = this.#options
    return {
      connected: this.#stream !== undefined,
      messages: this.#messages,
      readTo: collector.readTo,
      waiting: queue.hungry ? collector.count : 0,
      silentMs: this.#stream?.silentMs ?? 0,
      paused: this.#finished || !this.#ready,
    }
  }

  /** Has the server say where it is. */
  ask(): void {
    this.#stream?.sendStatus(true)
  }

  /** Hands on where it is, also where that is no advance: for what else a position says. */
  offerPosition(): void {
    const { collector, queue } = this.#options
    if (this.#finished || !this.#trusted || !queue.hungry) return
    if (collector.betweenTransactions) this.#handOn()
  }

  /** Of the server's process that streams, or did until now; 0: none yet. */
  get processId(): number {
    return this.#session?.processId ?? 0
  }

  /** A session with the server was ended, not by us. */
  suspectShutdown(): void {
    if (this.#stream !== undefined) this.#shutdown.suspect()
  }

  /** Tells the server soon what may be confirmed now. */
  confirmSoon(): void {
    if (this.#stopping.signal.aborted) return
    this.#confirming ??= setTimeout(() => {
      this.#confirming = undefined
      this.#stream?.sendStatus()
    }, CONFIRM_MS)
  }

  /** Ends the stream cleanly, with a last confirmation. May be called again. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#options.scans.close()
    this.#intake.end()
    clearInterval(this.#asking)
    clearTimeout(this.#confirming)
    // The end may be reached by what comes along with the answer to START_REPLICATION.
    await this.#connecting.catch(() => {})
    await this.#stream?.stop()
    if (this.#session !== this.#options.owner) await this.#session?.close()
    await this.#scanning
    await this.#spool?.end()
  }

  async #connect(): Promise<void> {
    const { owner, connect, slot, publications, messages, collector, ledger, until, workMem, emit } = this.#options
    const session = owner ?? (await connect())
    this.#session = session
    if (this.#stopping.signal.aborted) return
    if (owner === undefined) collector.follow({ timeline: await checkServer(session, slot, collector.position) })
    this.#walSenderTimeoutMs = await walSenderTimeoutMs(session)
    if (workMem !== undefined) await setWorkMem(session, workMem, emit)
    const taker = this.#spool ?? this.#intake
    const startLsn = laterLsn(collector.position.resumeLsn, ledger.confirmed)
    this.#trusted = owner !== undefined
    this.#stream = await ReplicationStream.start(
      session,
      {
        slot,
        startLsn,
        walSenderTimeoutMs: this.#walSenderTimeoutMs,
        pluginOptions: {
          ...(this.#spool === undefined ? { proto_version: '1' } : { proto_version: '2', streaming: 'on' }),
          publication_names: publications.map((name) => `"${name.replaceAll('"', '""')}"`).join(','),
          ...(messages && { messages: 'true' }),
        },
      },
      {
        wal: (bytes, start, end, walPlace) => {
          this.#messages++
          taker.wal(bytes, start, end, walPlace)
        },
        keepalive: (walEnd, replyWanted) => this.#onKeepalive(walEnd, replyWanted),
        chunkEnd: () => this.#onChunkEnd(),
        tick: () => this.#offerAdvanceInTime(),
        confirmed: () => ledger.confirmed,
      },
    )
    if (!this.#trusted) {
      this.#unproved ??= startLsn
      // What we confirmed since is not ahead of us.
      const checked = checkSlotPlace(this.#options.control, slot, this.#unproved, ledger.confirmed)
      // The answer may never come when the network is gone: the stream notices that.
      await Promise.race([checked, this.#stream.ended.then(() => checked)])
      this.#unproved = undefined
      this.#trusted = true
      this.#intake.drain()
      if (this.#ready) this.#stream.resume()
    }
    this.#scan()
    emit({ type: 'streaming', slot, lsn: formatLsn(startLsn) })
    this.#onChunkEnd()
    if (until === undefined || this.#finished) return
    this.#asking ??= setInterval(() => this.#stream?.sendStatus(true), ASK_MS)
    this.#stream.sendStatus(true)
  }

  /** Rows are read once the slot is ours: who else reads it would write where we do. */
  #scan(): void {
    this.#scanning ??= this.#options.scans.run(this.#outlet).catch((error) => {
      this.#failure ??= { error }
      this.#stopping.abort()
      this.#stream?.fail(error)
    })
  }

  /** Between two transactions, or where the stream waits for rows. */
  #takesRows(): boolean {
    const { queue, collector } = this.#options
    if (this.#finished || !this.#trusted || this.#stopping.signal.aborted) return false
    const room = queue.hungry || queue.bytes < SCAN_AHEAD_BYTES
    return room && (collector.betweenTransactions || this.#intake.refused)
  }

  #pushRows(rows: RowBatch, progressAt: (index: number) => SnapshotProgress, range: ChunkRange | undefined): void {
    const { collector, ledger, queue, scannedBatch } = this.#options
    const { position } = collector
    ledger.offer(position, collector.confirmable)
    this.#offered = position
    this.#lastOffer = performance.now()
    queue.push(scannedBatch(rows, position, progressAt, range), rows.bytes)
  }

  /** There is room for what the socket brings. */
  get #ready(): boolean {
    return !this.#options.queue.full && this.#intake.empty && this.#spool?.full !== true
  }

  async #givesUpStreaming(error: unknown): Promise<boolean> {
    const warning = this.#spool && giveUpStreaming(error)
    if (warning === undefined) return false
    this.#options.emit(warning)
    await this.#spool?.end()
    this.#spool = undefined
    return true
  }

  #explain(error: unknown): Promise<unknown> {
    const { control, slot, publications, collector } = this.#options
    return explainStreamError(control, { slot, publications, position: collector.position }, error)
  }

  #disconnect(): void {
    void this.#stream?.stop()
    this.#stream = undefined
    if (this.#session !== this.#options.owner) this.#session?.destroy()
    this.#session = undefined
  }

  async #refusedByShutdown(): Promise<boolean> {
    if (this.#session === undefined) return false
    try {
      const probe = await this.#options.probe(this.#session)
      await probe.close()
      return false
    } catch (error) {
      return sqlstateOf(error) === CANNOT_CONNECT_NOW
    }
  }

  /** Whether the message could be taken. */
  #take(bytes: Buffer, start: number, end: number, walPlace: number): boolean {
    if (this.#finished) return true
    this.#messages++
    if (!this.#options.collector.collect(bytes, start, end, walPlace)) return false
    // Not only at a chunk's end: that of a backlog hardly ever lies between two transactions.
    if (this.#options.until !== undefined && this.#trusted && this.#reached()) this.#finish()
    return true
  }

  /** Of what waited, a portion was taken, or no more can be now. */
  #onTaken(): boolean {
    const { collector, queue, batchBytes } = this.#options
    if (this.#finished || !this.#trusted) return false
    if (collector.count > 0 && (queue.hungry || collector.bytes >= batchBytes)) this.#handOn()
    return !queue.full
  }

  #onKeepalive(walEnd: Lsn, replyWanted: boolean): void {
    const { collector, ledger } = this.#options
    if (replyWanted && ledger.confirmed < walEnd) this.#shutdown.asked()
    if (this.#finished || !this.#intake.empty || !collector.betweenTransactions) return
    collector.idle(walEnd)
    // A server that wants a reply may be shutting down: it waits until all it sent is confirmed.
    if (replyWanted) this.#offerAdvance()
    else this.#offerAdvanceInTime()
  }

  #onChunkEnd(): void {
    const { collector, queue, batchBytes } = this.#options
    if (this.#finished) return
    if (!this.#trusted) {
      // The answer about the slot may take its time: what comes meanwhile is bounded, too.
      if (collector.bytes >= batchBytes) this.#stream?.pause()
      return
    }
    if (collector.count === 0) this.#offerAdvanceInTime()
    else if (queue.hungry || collector.bytes >= batchBytes) this.#handOn()
    if (!this.#ready) this.#stream?.pause()
    this.#options.scans.pump()
    if (this.#reached()) this.#finish()
  }

  /** The consumer waits, or has made room. */
  #onDemand(): void {
    if (this.#finished || !this.#trusted) return
    if (this.#options.collector.count > 0 && this.#options.queue.hungry) this.#handOn()
    this.#intake.drain()
    this.#options.scans.pump()
    if (this.#ready) this.#stream?.resume()
  }

  #handOn(): void {
    const { collector, ledger, queue, toBatch } = this.#options
    const collected = collector.take()
    ledger.offer(collected.position, collected.confirmable)
    this.#offered = collected.position
    this.#lastOffer = performance.now()
    queue.push(toBatch(collected), collected.batch.bytes)
  }

  #offerAdvanceInTime(): void {
    if (performance.now() - this.#lastOffer >= IDLE_ADVANCE_MS) this.#offerAdvance()
  }

  /** An empty batch, if there is an advance to record, and the consumer has nothing else to do. */
  #offerAdvance(): void {
    const { collector, queue } = this.#options
    if (this.#finished || !this.#trusted || !queue.hungry) return
    if (this.#isAhead() && collector.betweenTransactions) this.#handOn()
  }

  #isAhead(): boolean {
    return comparePlaces(this.#options.collector.position.place, this.#offered.place) > 0
  }

  #reached(): boolean {
    const { until, collector, scans } = this.#options
    return until !== undefined && collector.betweenTransactions && collector.readTo >= until && !scans.unread
  }

  #finish(): void {
    if (this.#options.collector.count > 0 || this.#isAhead()) this.#handOn()
    this.#finished = true
    clearInterval(this.#asking)
    // Status updates go on: the last acknowledgement is still to come.
    this.#stream?.pause()
    this.#options.queue.end()
  }
}
