import { count } from '../../core/quantity.js'
import type { SourceEvent } from '../../source/events.js'
import { describe } from '../../source/eventText.js'

/** What a run tells of itself. What is not known (yet) is null; nothing is ever left out. */
export interface RunStatus {
  readonly pid: number
  readonly version: string
  /** When the process began to run, in ISO 8601. */
  readonly since: string
  readonly phase: 'starting' | 'snapshot' | 'streaming' | 'reconnecting'
  /** What it waits for, in words, while it does. */
  readonly waitingFor: string | null
  readonly database: string | null
  readonly serverVersion: string | null
  readonly slot: string | null
  /** Captured at the moment, as `schema.table`. */
  readonly tables: readonly string[] | null
  /** Tables whose rows are being read. */
  readonly scanning: readonly Scan[]
  /** Behind the last batch that was taken from the stream. */
  readonly lsn: string | null
  /** WAL from there to the server's end, and the age of what was taken last, 0 when nothing is behind it. */
  readonly lagBytes: number | null
  readonly lagSeconds: number | null
  /** Records since streaming began. */
  readonly records: number | null
}

export interface Scan {
  readonly table: string
  readonly rows: number
  /** 0 when the server has never counted. */
  readonly estimatedRows: number
}

/** How far one table is, without a word for it. */
export function scanAsText({ table, rows, estimatedRows }: Scan): string {
  const of = rows > estimatedRows ? '' : ` of about ${count(estimatedRows)}`
  return `${table}: ${count(rows)}${of} rows`
}

/** What the run is at, or waits for, beside streaming. */
export function occupation({ waitingFor, scanning }: RunStatus): string | null {
  if (waitingFor !== null) return waitingFor
  return scanning.length === 0 ? null : `reading ${scanning.map(scanAsText).join(', ')}`
}

type Told = { -readonly [Name in keyof RunStatus]: RunStatus[Name] }

/** Keeps the status of a run from what its source tells. */
export class StatusKeeper {
  readonly #told: Told
  readonly #scans = new Map<string, Scan>()

  constructor(facts: Pick<RunStatus, 'pid' | 'version' | 'since'>) {
    this.#told = { ...facts, ...NOTHING_TOLD }
  }

  get status(): RunStatus {
    return { ...this.#told, scanning: [...this.#scans.values()] }
  }

  /** A run of the source begins, maybe not the first. */
  begin(): void {
    Object.assign(this.#told, NOTHING_TOLD)
    this.#scans.clear()
  }

  saw(event: SourceEvent): void {
    const told = this.#told
    told.waitingFor = WAITS.has(event.type) ? describe(event) : null
    switch (event.type) {
      case 'connected':
        told.database = event.database
        told.serverVersion = event.serverVersion
        break
      case 'capturing':
        told.tables = event.tables
        break
      case 'table-dropped':
        told.tables = told.tables?.filter((table) => table !== event.table) ?? null
        this.#scans.delete(event.table)
        break
      case 'snapshot-started':
        if (told.phase === 'starting') told.phase = 'snapshot'
        break
      case 'snapshot-progress': {
        const { table, rows, estimatedRows } = event
        this.#scans.set(table, { table, rows, estimatedRows })
        break
      }
      case 'snapshot-table-finished':
        this.#scans.delete(event.table)
        break
      case 'streaming':
        Object.assign(told, { phase: 'streaming', slot: event.slot, lsn: event.lsn })
        break
      case 'stream-progress': {
        const { lsn, lagBytes, lagSeconds, records } = event
        Object.assign(told, { phase: 'streaming', lsn, lagBytes, lagSeconds, records })
        break
      }
      case 'reconnecting':
        told.phase = 'reconnecting'
        break
    }
  }
}

const NOTHING_TOLD = {
  phase: 'starting',
  waitingFor: null,
  database: null,
  serverVersion: null,
  slot: null,
  tables: null,
  scanning: [],
  lsn: null,
  lagBytes: null,
  lagSeconds: null,
  records: null,
} as const

/** What somebody has to do something about, or time; whatever comes next ends it. */
const WAITS: ReadonlySet<SourceEvent['type']> = new Set([
  'waiting-for-transactions',
  'waiting-for-lock',
  'slot-waiting',
  'reconnecting',
])
