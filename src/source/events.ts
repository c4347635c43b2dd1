import type { TailraceError } from '../core/tailraceError.js'
import type { Warning } from '../core/warnings.js'
import type { BlockingSide, Waiting } from './stall.js'
import type { WalRetention } from './walRetention.js'

/** What a source tells of its work. Nothing is lost when nobody listens, and errors reject the loop: they are no event. */
export type SourceEvent =
  | { readonly type: 'connected'; readonly serverVersion: string; readonly database: string }
  /** Which tables are captured (`schema.table`): at the start of a run, and whenever others are from then on. */
  | { readonly type: 'capturing'; readonly tables: readonly string[] }
  /** The slot cannot be made before the transactions that run now have ended: these hold it up. */
  | { readonly type: 'waiting-for-transactions'; readonly seconds: number; readonly holders: readonly string[] }
  /** Somebody (a migration) has a lock that keeps the snapshot from reading a table, or waits for one. */
  | { readonly type: 'waiting-for-lock'; readonly seconds: number; readonly holders: readonly string[] }
  | { readonly type: 'slot-created'; readonly slot: string; readonly temporary: boolean; readonly lsn: string }
  | { readonly type: 'slot-waiting'; readonly slot: string; readonly seconds: number }
  | { readonly type: 'publication-created'; readonly publication: string; readonly tables: number }
  | { readonly type: 'snapshot-started'; readonly tables: number; readonly estimatedRows: number }
  | {
      readonly type: 'snapshot-progress'
      readonly table: string
      readonly rows: number
      readonly estimatedRows: number
    }
  | { readonly type: 'snapshot-table-finished'; readonly table: string; readonly rows: number }
  /** Another session, such as a migration, waits for a lock on a table until the snapshot has read it. */
  | {
      readonly type: 'lock-waited-for'
      readonly table: string
      readonly pid: number
      readonly application: string | undefined
      /** As pg_locks names it. */
      readonly mode: string
    }
  | { readonly type: 'snapshot-finished'; readonly rows: number; readonly seconds: number }
  | { readonly type: 'streaming'; readonly slot: string; readonly lsn: string }
  /** A large transaction is being received, and its COMMIT not yet: from 8 MiB on, once a second. */
  | {
      readonly type: 'large-transaction'
      readonly xid: number
      /** Received of it so far. */
      readonly bytes: number
    }
  /** Long polling has read everything once, and goes on. */
  | { readonly type: 'polling'; readonly tables: number; readonly intervalMs: number }
  /** Every second or so while changes come, every few seconds when none do. */
  | {
      readonly type: 'stream-progress'
      /** Taken by the consumer since streaming began, and what they had as received. */
      readonly records: number
      readonly bytes: number
      /** Behind the last batch that the consumer took. */
      readonly lsn: string
      /** WAL from there to the server's end, that of other tables included. */
      readonly lagBytes: number
      /** Age of the last transaction taken, by the clocks of server and client; 0 when nothing is left behind it. */
      readonly lagSeconds: number
    }
  /** Every few seconds while a slot keeps WAL for the run. */
  | ({
      readonly type: 'wal-retention'
      readonly slot: string
      /** As pg_replication_slots has it; `unreserved`: the server may give the slot up at its next checkpoint. */
      readonly walStatus: string | undefined
    } & WalRetention)
  /** A snapshot that runs beside the stream rests, so that the stream can catch up; or goes on. */
  | { readonly type: 'snapshot-paused'; readonly paused: boolean }
  /** A logical message was written, so that the server frees WAL that it kept for the slot without need. */
  | { readonly type: 'heartbeat'; readonly slot: string; readonly heldBytes: number }
  /** There is something to do, and nothing went on for `stallMs`; told once, and again when another side holds it up. */
  | {
      readonly type: 'stalled'
      /** Whose turn it is; `tailrace`: ours, please report it. */
      readonly side: BlockingSide
      readonly waitingFor: Waiting
      readonly seconds: number
      /** In words, with the facts. */
      readonly problem: string
    }
  | { readonly type: 'stall-ended'; readonly side: BlockingSide; readonly seconds: number }
  | { readonly type: 'reconnecting'; readonly attempt: number; readonly delayMs: number; readonly cause: TailraceError }
  | { readonly type: 'table-dropped'; readonly table: string }
  /** A partition joined a captured table with rows of its own; `read`: they follow, as snapshot rows of the table. */
  | {
      readonly type: 'partition-attached'
      readonly table: string
      readonly partition: string
      readonly read: boolean
    }
  | Warning

/** What would stop a run, of one that was asked to go on. */
export function asWarning({ code, message, hint }: TailraceError): SourceEvent {
  return { type: 'warning', code, message, hint }
}

/** Events for those who listen: each listener has a bounded queue of its own, the oldest are dropped for a sleeper. */
export class EventHub {
  readonly #listeners = new Set<EventQueue>()
  #ended = false

  emit(event: SourceEvent): void {
    for (const listener of this.#listeners) listener.push(event)
  }

  end(): void {
    this.#ended = true
    for (const listener of this.#listeners) listener.end()
  }

  /** From the call on, not only from the first look. */
  listen(): AsyncGenerator<SourceEvent, void, void> {
    const queue = new EventQueue()
    if (this.#ended) queue.end()
    else this.#listeners.add(queue)
    return this.#drain(queue)
  }

  async *#drain(queue: EventQueue): AsyncGenerator<SourceEvent, void, void> {
    try {
      for (let event = await queue.next(); event !== undefined; event = await queue.next()) yield event
    } finally {
      this.#listeners.delete(queue)
    }
  }
}

const MAX_EVENTS = 1000

class EventQueue {
  readonly #events: SourceEvent[] = []
  #ended = false
  #wake: (() => void) | undefined

  push(event: SourceEvent): void {
    if (this.#events.length === MAX_EVENTS) this.#events.shift()
    this.#events.push(event)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async next(): Promise<SourceEvent | undefined> {
    while (this.#events.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#events.shift()
  }
}
