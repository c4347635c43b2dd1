import type { TailraceError } from '../../core/tailraceError.js'
import type { ServerFacts } from '../../postgres/catalog/server.js'
import type { CaptureFacts, Surroundings } from '../../postgres/catalog/surroundings.js'
import type { CatalogTable } from '../../postgres/catalog/tables.js'
import type { Publication } from '../../postgres/publication.js'
import type { RunningTransaction } from '../../postgres/runningTransactions.js'
import type { ListedSlot } from '../../postgres/slotList.js'
import type { Platform } from './platform.js'

/** What an attempt to read something gave: the rest is looked at all the same. */
export type Attempt<T> = { readonly value: T } | { readonly error: TailraceError }

export function knownOf<T>(attempt: Attempt<T> | undefined): T | undefined {
  return attempt !== undefined && 'value' in attempt ? attempt.value : undefined
}

export function errorOf(attempt: Attempt<unknown> | undefined): TailraceError | undefined {
  return attempt !== undefined && 'error' in attempt ? attempt.error : undefined
}

/** Everything that is judged. */
export interface DoctorFacts {
  readonly platform: Platform
  readonly ordinary: ConnectionFacts
  readonly replication: ConnectionFacts & { readonly walSenderTimeoutMs: number | undefined }
  readonly wishes: Wishes
  /** Undefined when there is no connection to ask by. */
  readonly database: DatabaseFacts | undefined
}

/** One way to the server. */
export interface ConnectionFacts {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** For people, without a password. */
  readonly to: string
  readonly attempt: Attempt<SessionFacts>
}

export interface SessionFacts {
  readonly announcedPid: number
  readonly backendPid: number
  readonly systemIdentifier: string | undefined
}

/** The options that decide what is needed. */
export interface Wishes {
  /** None: a run has temporary ones. */
  readonly slot: string | undefined
  /** None: a run makes one of its own. */
  readonly publication: string | undefined
  readonly keyless: 'refuse' | 'inserts' | 'skip'
}

export interface DatabaseFacts {
  /** When they were read. */
  readonly now: Date
  readonly server: Attempt<ServerFacts>
  readonly surroundings: Attempt<Surroundings>
  readonly slots: Attempt<readonly ListedSlot[]>
  readonly transactions: Attempt<readonly RunningTransaction[]>
  /** Undefined when none were named. */
  readonly tables: Attempt<TableFacts> | undefined
  /** Those of {@link Wishes.publication} that are there: for all operations, and for inserts. */
  readonly publications: Attempt<Publications>
}

export interface TableFacts {
  /** Names that mean nothing, or nothing that can be captured. */
  readonly mistakes: readonly TailraceError[]
  readonly tables: readonly CatalogTable[]
  /** By the table's OID. */
  readonly capture: ReadonlyMap<number, CaptureFacts>
  /** Keys that the user names, by the table's OID. */
  readonly keys: ReadonlyMap<number, readonly string[]>
}

export interface Publications {
  readonly all: Publication | undefined
  readonly inserts: Publication | undefined
}
