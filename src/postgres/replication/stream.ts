import { deferred } from '../../core/deferred.js'
import { CONNECTION_LOST, SERVER_ERROR } from '../../core/errors.js'
import {
  COMMAND_COMPLETE,
  COPY_BOTH_RESPONSE,
  COPY_DATA,
  COPY_DONE,
  ERROR_RESPONSE,
  frame,
  queryFrame,
  READY_FOR_QUERY,
} from '../frames.js'
import { formatLsn, type Lsn, laterLsn, readLsn } from '../lsn.js'
import { readServerMessage, serverError } from '../serverError.js'
import type { Session } from '../session.js'
import type { Takeover } from '../takeover.js'
import { Napping } from './napping.js'
import { quoteName, quoteText } from './quote.js'
import { silenceLimitMs, statusIntervalMs, statusUpdate } from './status.js'

export interface ReplicationHandler {
  /**
   * The payload of one XLogData message: one message of the output plugin. The bytes may be kept. `walPlace` is the low
   * half of the LSN that the change has in the WAL, the same on every delivery.
   */
  wal(bytes: Buffer, start: number, end: number, walPlace: number): void
  /** The server's WAL end. Everything committed before it has been sent. */
  keepalive(walEnd: Lsn, replyWanted: boolean): void
  /** A chunk from the socket is used up: a good moment to hand on what came. */
  chunkEnd(): void
  /** At every status update by timer. */
  tick(): void
  /** What may be confirmed to the slot now. Asked at every status update, never remembered. */
  confirmed(): Lsn
}

export interface ReplicationOptions {
  readonly slot: string
  /** The server begins at this place or where the slot stands, whichever is later. */
  readonly startLsn: Lsn
  /** The plugin's options: `proto_version`, `publication_names`, … */
  readonly pluginOptions: Readonly<Record<string, string>>
  /** The server's `wal_sender_timeout` in milliseconds. */
  readonly walSenderTimeoutMs: number
}

// XLogData: Byte1 'w', Int64 start, Int64 WAL end, Int64 clock, then the payload.
const XLOG_DATA = 0x77
const XLOG_DATA_HEADER = 25
// Primary keepalive: Byte1 'k', Int64 WAL end, Int64 clock, Byte1 reply wanted.
const KEEPALIVE = 0x6b
const KEEPALIVE_LENGTH = 18

/** How long a clean stop may take: a walsender in the middle of a huge transaction may not listen before its end. */
const STOP_TIMEOUT_MS = 3000

/** START_REPLICATION on the raw socket ("Streaming Replication Protocol" in the PostgreSQL docs). */
export class ReplicationStream {
  readonly #handler: ReplicationHandler
  readonly #takeover: Takeover
  readonly #napping: Napping
  readonly #silenceMs: number
  readonly #timer: NodeJS.Timeout
  readonly #started = deferred()
  readonly #ended = deferred()
  #received: Lsn = 0n
  #lastInbound = performance.now()
  /** Any ended in this chunk. */
  #messages = false
  #stopping = false
  #finished = false
  #failure: unknown

  /** Resolves when the server streams; rejects with its error when it will not. */
  static async start(
    session: Session,
    options: ReplicationOptions,
    handler: ReplicationHandler,
  ): Promise<ReplicationStream> {
    const stream = new ReplicationStream(session, options, handler)
    await stream.#started.promise
    return stream
  }

  private constructor(session: Session, options: ReplicationOptions, handler: ReplicationHandler) {
    this.#handler = handler
    this.#silenceMs = silenceLimitMs(options.walSenderTimeoutMs)
    // Whoever listens to one of them only must not leave the other unhandled.
    this.#started.promise.catch(() => {})
    this.#ended.promise.catch(() => {})
    this.#takeover = session.takeOver({
      onFrame: (tag, bytes, start, end) => this.#onFrame(tag, bytes, start, end),
      onChunkEnd: (length) => this.#onChunkEnd(length),
      onFailure: (error) => this.#finish(error),
    })
    this.#napping = new Napping(
      () => this.#takeover.pause(),
      () => {
        this.#lastInbound = performance.now()
        this.#takeover.resume()
      },
    )
    this.#timer = setInterval(() => this.#tick(), statusIntervalMs(options.walSenderTimeoutMs))
    this.#takeover.write(queryFrame(startReplication(options)))
  }

  /** Resolves after a clean stop; rejects when the server or the connection ended the stream. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Since the last byte came, or could have come, in milliseconds. */
  get silentMs(): number {
    return this.#napping.held ? 0 : performance.now() - this.#lastInbound
  }

  /** Reads nothing more until `resume`; status updates go on. */
  pause(): void {
    this.#napping.hold()
  }

  resume(): void {
    this.#napping.release()
  }

  /** Confirms what may be confirmed now; with `replyWanted` the server answers with a keepalive. */
  sendStatus(replyWanted = false): void {
    if (this.#stopping || this.#finished) return
    const confirmed = this.#handler.confirmed()
    this.#takeover.write(statusUpdate(laterLsn(this.#received, confirmed), confirmed, replyWanted))
  }

  /** Confirms a last time and ends the stream from our side: `ended` rejects with `reason`. */
  leave(reason: Error): void {
    if (this.#stopping || this.#finished || this.#failure !== undefined) return
    this.sendStatus()
    this.#failure = reason
    this.#takeover.write(frame('c'))
    this.#napping.release()
    setTimeout(() => this.#takeover.destroy(), STOP_TIMEOUT_MS).unref()
  }

  /** What the stream brought cannot be used: `ended` rejects with `error`. */
  fail(error: unknown): void {
    this.#finish(error)
    this.#takeover.destroy()
  }

  /** Confirms a last time, ends the COPY mode and waits until the session takes queries again, or is cut. */
  async stop(): Promise<void> {
    if (!this.#stopping && !this.#finished) {
      this.sendStatus()
      this.#stopping = true
      this.#takeover.write(frame('c'))
      this.#napping.release()
      const timeout = setTimeout(() => this.#takeover.destroy(), STOP_TIMEOUT_MS)
      await this.#ended.promise.catch(() => {})
      clearTimeout(timeout)
    }
  }

  #onFrame(tag: number, bytes: Buffer, start: number, end: number): void {
    this.#messages = true
    if (tag === COPY_DATA) {
      if (this.#stopping) return
      if (bytes[start] === XLOG_DATA && end - start > XLOG_DATA_HEADER) {
        const low = start + 5
        const walPlace = (bytes[low]! << 24) | (bytes[low + 1]! << 16) | (bytes[low + 2]! << 8) | bytes[low + 3]!
        this.#handler.wal(bytes, start + XLOG_DATA_HEADER, end, walPlace)
      } else if (bytes[start] === KEEPALIVE && end - start >= KEEPALIVE_LENGTH) {
        this.#onKeepalive(readLsn(bytes, start + 1), bytes[start + 17] === 1)
      } else {
        throw SERVER_ERROR({ sqlstate: '08P01', message: 'a replication message of unknown kind' })
      }
    } else if (tag === COPY_BOTH_RESPONSE) this.#started.resolve()
    else if (tag === ERROR_RESPONSE) this.#failure ??= serverError(readServerMessage(bytes, start, end))
    else if (tag === COPY_DONE && !this.#stopping && this.#failure === undefined) {
      // The server ends the stream by itself, as it does when it shuts down: answer, then it goes on to its end.
      this.#failure = endedByServer()
      this.#takeover.write(frame('c'))
    } else if (tag === READY_FOR_QUERY) this.#finish(this.#failure)
    else if (tag === COMMAND_COMPLETE && this.#failure === undefined && !this.#stopping) {
      this.#failure = endedByServer()
    }
  }

  #onKeepalive(walEnd: Lsn, replyWanted: boolean): void {
    if (walEnd > this.#received) this.#received = walEnd
    this.#handler.keepalive(walEnd, replyWanted)
    if (replyWanted) this.sendStatus()
  }

  #onChunkEnd(length: number): void {
    this.#lastInbound = performance.now()
    if (this.#stopping) return
    this.#handler.chunkEnd()
    // In the middle of one large message there are no rows that could travel together.
    if (this.#messages) this.#napping.chunkEnd(length)
    this.#messages = false
  }

  #tick(): void {
    const silence = this.silentMs
    if (silence > this.#silenceMs) {
      const seconds = Math.round(silence / 1000)
      this.#finish(CONNECTION_LOST({ to: 'the walsender', problem: `nothing received for ${seconds} s` }))
      this.#takeover.destroy()
      return
    }
    this.sendStatus(silence > this.#silenceMs / 2)
    if (!this.#stopping) this.#handler.tick()
  }

  #finish(error: unknown): void {
    if (this.#finished) return
    this.#finished = true
    clearInterval(this.#timer)
    this.#napping.stop()
    const failure = this.#stopping ? undefined : (this.#failure ?? error)
    if (failure === undefined) {
      this.#takeover.release()
      this.#ended.resolve()
    } else {
      this.#started.reject(failure)
      this.#ended.reject(failure)
    }
  }
}

function endedByServer(): Error {
  return CONNECTION_LOST({ to: 'the walsender', problem: 'the server ended the stream' })
}

function startReplication({ slot, startLsn, pluginOptions }: ReplicationOptions): string {
  const options = Object.entries(pluginOptions).map(([name, value]) => `${quoteName(name)} ${quoteText(value)}`)
  return `START_REPLICATION SLOT ${quoteName(slot)} LOGICAL ${formatLsn(startLsn)} (${options.join(', ')})`
}
