/**
 * What a process of `tailrace run` tells of itself: the answer of `GET /api/status`. Plain JSON. What is not known, or not yet,
 * is null, and nothing is ever left out. Times are ISO 8601 in UTC, rates are of the last few seconds.
 */
export interface Status {
  /** Of tailrace. */
  readonly version: string
  readonly startedAt: string
  /** By the clock of this process, when the answer was made. */
  readonly now: string
  /** In the order of their files' names. */
  readonly pipelines: readonly PipelineStatus[]
}

export interface PipelineStatus {
  /** Unique in the process; `/api/pause` and others take it as `pipeline`. */
  readonly name: string
  readonly state: PipelineState
  /** Since when it is in that state. */
  readonly since: string
  /** What it is waiting for, in words, while it is. */
  readonly waitingFor: string | null
  readonly safety: Safety
  readonly source: SourceStatus
  /** Where to go on: behind the last batch that was taken from the stream, as an LSN. */
  readonly position: string | null
  readonly lag: LagStatus
  /** Null before it is known, and where there is none (long polling). */
  readonly slot: SlotStatus | null
  /** Of each table whose rows were read since the run began or are read now; at most {@link MOST_TABLES}. */
  readonly snapshot: readonly SnapshotStatus[]
  readonly rates: RatesStatus
  /** Of the last hour, the oldest first; at most {@link HISTORY_SAMPLES}. */
  readonly history: readonly HistorySample[]
  /** At most {@link MOST_TABLES}, those with the most records; `otherTables` has the rest as one. */
  readonly tables: readonly TableStatus[]
  readonly otherTables: number
  readonly sinks: readonly SinkStatus[]
  /** The last {@link MOST_ERRORS}, the newest first. */
  readonly errors: readonly ErrorStatus[]
  /** Of each sink that has put records aside since the run began. */
  readonly deadLetters: readonly DeadLetterStatus[]
}

/**
 * `snapshot`: rows are read, be it beside the stream; `streaming`: changes come, or are polled; `paused`: by request; `retrying`: the
 * source or a sink failed, and is tried again; `failed`: ended by an error; `stopped`: ended without one.
 */
export type PipelineState = 'starting' | 'snapshot' | 'streaming' | 'paused' | 'retrying' | 'failed' | 'stopped'

/** Whether the data is safe: `at_risk`: it will not stay so by itself; `in_trouble`: somebody has to act now. */
export type SafetyLevel = 'safe' | 'at_risk' | 'in_trouble'

export interface Safety {
  readonly level: SafetyLevel
  /** One sentence for people, without a name of the inside. */
  readonly words: string
  /** What that stands on, a sentence each, the worst first; empty where there is nothing to say. */
  readonly why: readonly string[]
}

export interface SourceStatus {
  readonly host: string | null
  readonly port: number | null
  readonly database: string | null
  readonly serverVersion: string | null
  readonly slot: string | null
  readonly publication: string | null
  readonly connected: boolean
}

export interface LagStatus {
  /** WAL from the position to the server's end, that of other tables included. */
  readonly bytes: number | null
  /** Age of the last transaction taken; 0 when nothing is left behind it. Of a paused one at least the time of its pause. */
  readonly seconds: number | null
}

export interface SlotStatus {
  /** WAL that the server keeps for the slot. */
  readonly retainedBytes: number
  /** How much it may keep: the nearer of `max_slot_wal_keep_size` and the run's own budget; null: there is no limit. */
  readonly limitBytes: number | null
  readonly limit: 'max_slot_wal_keep_size' | 'walBudgetBytes' | null
  /** Until the limit, as fast as it grew in the last minute; null without a limit, or while it does not grow. */
  readonly secondsToLimit: number | null
  /** From half of the limit, near, reached (the server may take the slot away), lost. */
  readonly level: 'ok' | 'half' | 'near' | 'reached' | 'lost'
  /** As pg_replication_slots has it: `reserved`, `extended`, `unreserved`, `lost`. */
  readonly walStatus: string | null
  /** Whether this run reads it at the moment. */
  readonly active: boolean
}

export interface SnapshotStatus {
  /** `schema.table`, quoted where SQL needs it. */
  readonly table: string
  readonly rows: number
  /** As the server's statistics have it; 0 where it never counted. */
  readonly estimatedRows: number
  readonly done: boolean
  readonly rowsPerSecond: number
  /** Null where that cannot be said; 0 when it is done. */
  readonly etaSeconds: number | null
}

export interface RatesStatus {
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
}

/** Every {@link HISTORY_SECONDS} seconds one; null: not known then. */
export interface HistorySample extends RatesStatus {
  readonly time: string
  readonly lagBytes: number | null
  readonly lagSeconds: number | null
  readonly retainedBytes: number | null
}

/** Records taken from the source since the run began, before processors. */
export interface TableStatus {
  readonly table: string
  readonly snapshot: number
  readonly create: number
  readonly update: number
  readonly delete: number
  readonly truncate: number
  readonly schema: number
  /** As received. */
  readonly bytes: number
}

export interface SinkStatus {
  readonly name: string
  readonly type: string
  /** `opening`: not ready yet; `retrying`: failed, and tried again; `failed`: ended the pipeline. */
  readonly state: 'opening' | 'running' | 'retrying' | 'failed' | 'stopped'
  /** Read, and not durable in it yet. */
  readonly pendingBytes: number
  /** Durable in it, of those that this run gave it. */
  readonly writtenRows: number
  readonly writtenBytes: number
  readonly rowsPerSecond: number
  /** When it last made something durable. */
  readonly lastFlushAt: string | null
  /** Of one batch; of the last {@link LATENCY_WRITES} writes. */
  readonly latency: LatencyStatus
  /** How often it was tried again since the run began. */
  readonly retries: number
  readonly deadLetters: number
  readonly lastError: ErrorStatus | null
}

export interface LatencyStatus {
  /** Null before the first write. */
  readonly p50Seconds: number | null
  readonly p99Seconds: number | null
}

export interface ErrorStatus {
  /** The last time, if it came more than once. */
  readonly at: string
  /** How often it came. */
  readonly count: number
  /** Of a `warning` the pipeline goes on by itself. */
  readonly severity: 'error' | 'warning'
  /** `source`, `pipeline`, `sink NAME` or `processor NAME`. */
  readonly where: string
  /** As docs/errors.md has it; `INTERNAL` where it has none. */
  readonly code: string
  readonly message: string
  /** What to do; empty where nothing is known. */
  readonly hint: string
  /** When it is tried again; null: it is not, or was already. */
  readonly retryAt: string | null
}

export interface DeadLetterStatus {
  readonly sink: string
  /** The file or table; never with a password. */
  readonly target: string
  /** Since the run began. */
  readonly count: number
  /** How many of all there ever were are still there, as far as that is known: at least those of this run that nobody has dealt with. */
  readonly waiting: number
  readonly lastProblem: string
}

export const HISTORY_SECONDS = 10
/** An hour. */
export const HISTORY_SAMPLES = 360
export const MOST_TABLES = 200
export const MOST_ERRORS = 20
/** Of so many writes of a sink the latency is told. */
export const LATENCY_WRITES = 512

/** What `POST /api/pause`, `/api/resume` take: one pipeline by its name, or all of them. */
export interface PauseRequest {
  readonly pipeline?: string
}

/** What `POST /api/signal` takes: as `tailrace signal` asks it. `pipeline` may be left out where there is only one. */
export type SignalBody = { readonly pipeline?: string } & (
  | { readonly command: 'status' }
  | { readonly command: 'add' | 'remove'; readonly tables: string }
  | { readonly command: 'resnapshot'; readonly table: string; readonly where?: string }
)

/** The answer of every `/api/…` that failed, with a status of 4xx or 5xx. */
export interface ApiError {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string }
}
