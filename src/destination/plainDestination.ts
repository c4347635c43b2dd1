import { DESTINATION_CLOSED } from '../core/destinationErrors.js'
import type { RowBatch } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import type { TailraceError } from '../core/tailraceError.js'
import { TypeCatalog } from '../postgres/catalog/types.js'
import type { ConnectionOptions } from '../postgres/connectionString.js'
import type { QualifiedName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { sqlstateOf } from '../postgres/serverError.js'
import { type Rejection, rejectionOf } from './blame.js'
import { explained, isOfConnection, isOfShape } from './failure.js'
import type { Mode } from './modes.js'
import { isRejection, PlainWriter, type Written } from './plainWriter.js'
import { retrying } from './retrying.js'
import { becomeTheWriter } from './soleWriter.js'
import { joinTarget, type Target } from './target.js'
import { findTargetTable, type TargetTable } from './targetTable.js'
import { type Backend, connectToWrite, type WriteSettings } from './writeSession.js'

export interface PlainDestinationOptions extends WriteSettings {
  readonly connection: ConnectionOptions
  readonly mode: Mode
  /** How long is tried again what may pass. */
  readonly retryMs: number
  /** One at a time writes under a name: of a writer that was killed the server may still be at work. */
  readonly name: string
  /** Somebody else is at work under that name, and goes on. */
  readonly onOtherWriter: () => void
  /** No statement takes longer, and no transaction waits longer for the next one; undefined: as long as it takes. */
  readonly limitMs?: number
  /** Asked at once before anything is written; rejects: nothing is. */
  readonly mayWrite?: () => Promise<void>
}

/** A table of the target's catalog, with the types of its columns. */
export interface FoundTable {
  readonly facts: TargetTable
  readonly types: TypeCatalog
}

/**
 * Tables of a PostgreSQL database that are written by whoever knows by himself how far he is: no checkpoint is kept, and what
 * comes twice is written twice, by key, which comes to the same.
 */
export class PlainDestination {
  readonly #options: PlainDestinationOptions
  readonly #takesCopies = new Map<string, boolean>()
  /** By constraint: what is said of its columns, so that many rejected rows ask once. */
  readonly #blamed = new Map<string, Pick<Rejection, 'column'>>()
  #writer: PlainWriter | undefined
  #backend: Backend | undefined
  #closed = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: PlainDestinationOptions) {
    this.#options = options
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Connects; rejects with what keeps it from that. */
  async open(): Promise<void> {
    await this.#retrying(async () => {})
  }

  /** Undefined: there is no such table. */
  findTable(name: QualifiedName): Promise<FoundTable | undefined> {
    return this.#retrying(async ({ session }) => {
      const facts = await findTargetTable(session, name)
      if (facts === undefined) return undefined
      return { facts, types: await typesOf(session, facts) }
    })
  }

  /** How rows of a shape are written into a table, or an error that says what is missing there. */
  join(table: Table, facts: TargetTable): Target {
    return joinTarget(table, facts, [], this.#options.mode)
  }

  /**
   * Writes a batch in one transaction, all but the rows that the target rejects. Of `targets` (by index of the batch's
   * tables) nothing may have changed since: if something has, nothing is written, and `TargetChanged` says so.
   */
  async write(rows: RowBatch, targets: readonly Target[], lookedAgain: boolean): Promise<Written> {
    let ways = 0
    const attempt = async (writer: PlainWriter): Promise<Written> => {
      await this.#options.mayWrite?.()
      try {
        return await (ways === 0 ? writer.write(rows, targets) : writer.writeCarefully(rows, targets, ways > 1))
      } catch (error) {
        if (!isRejection(error)) throw error
        if (isOfShape(error) && !lookedAgain) {
          // Its staging tables are of the old shape, too.
          await this.#drop()
          throw new TargetChanged(error)
        }
        if (ways === 2) throw error
        ways++
        await writer.session.query('ROLLBACK')
        return attempt(writer)
      }
    }
    return this.#retrying(
      attempt,
      targets.map(({ target }) => target),
    )
  }

  /** Why a row was rejected, or an error that says it whole: of what is wrong with all of a table's rows. */
  async explain(cause: unknown, { facts, target }: Target): Promise<Rejection | { readonly error: unknown }> {
    const whole = explained(cause, [target])
    if (whole !== cause) return { error: whole }
    const error = cause as TailraceError
    const { constraint } = error.details as { readonly constraint?: string }
    const name = constraint === undefined ? undefined : `${target} ${constraint}`
    const column = name === undefined ? undefined : this.#blamed.get(name)
    if (column !== undefined) return { ...(await rejectionOf(undefined, error, facts)), ...column }
    const rejection = await this.#retrying(({ session }) => rejectionOf(session, error, facts))
    if (name !== undefined) this.#blamed.set(name, { column: rejection.column })
    return rejection
  }

  /** Begins a new session: its staging tables are gone. */
  async renew(): Promise<void> {
    await this.#inTurn(() => this.#drop())
    this.#blamed.clear()
  }

  /** Closes the connection; what is being written is rolled back, or was committed. */
  async close(): Promise<void> {
    this.#closed = true
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    await this.#drop()
  }

  /**
   * One after another: tables are looked up while a batch is written, and a session that a script has taken over would take
   * the answer for one of the script's, and never give it to whoever asked.
   */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  /** Does `work` over a connection that is there, again and anew while what fails may pass. */
  #retrying<T>(work: (writer: PlainWriter) => Promise<T>, tables: readonly string[] = []): Promise<T> {
    return this.#inTurn(() => this.#retryingNow(work, tables))
  }

  #retryingNow<T>(work: (writer: PlainWriter) => Promise<T>, tables: readonly string[]): Promise<T> {
    const { signal, retryMs } = this.#options
    return retrying(async () => work(await this.#connected()), {
      ...{ signal, retryMs, afterFailure: (error) => this.#afterFailure(error) },
      // A first connection that fails without the server's own word is a mistake more often.
      mayGoOn: (error) => !this.#closed && (this.#backend !== undefined || sqlstateOf(error) !== undefined),
      explain: (error) => explained(error, tables),
    })
  }

  async #afterFailure(error: unknown): Promise<void> {
    if (isOfConnection(error)) {
      this.#writer?.session.destroy()
      this.#writer = undefined
    } else await this.#writer?.session.query('ROLLBACK').catch(() => this.#drop())
  }

  async #connected(): Promise<PlainWriter> {
    this.#requireNotClosed()
    if (this.#writer !== undefined) return this.#writer
    const { session, backend } = await connectToWrite(this.#options.connection, this.#options, this.#backend)
    if (this.#closed) session.destroy()
    this.#requireNotClosed()
    this.#backend = backend
    try {
      const { name, limitMs } = this.#options
      if (!(await becomeTheWriter(session, name))) this.#options.onOtherWriter()
      if (limitMs !== undefined) {
        const limits = ['statement_timeout', 'idle_in_transaction_session_timeout']
        await session.query(limits.map((limit) => `SET ${limit} = ${limitMs}`).join(';\n'))
      }
    } catch (error) {
      session.destroy()
      throw error
    }
    this.#writer = new PlainWriter(session, this.#takesCopies)
    return this.#writer
  }

  async #drop(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    await writer?.session.close()
  }

  readonly #onAbort = (): void => {
    this.#writer?.session.destroy()
  }

  #requireNotClosed(): void {
    if (this.#closed) throw DESTINATION_CLOSED({ state: 'closed' })
  }
}

/** A table is not as it was when it was looked up: it is to be looked up again. */
export class TargetChanged extends Error {
  constructor(cause: unknown) {
    super('a table of the target has changed', { cause })
  }
}

async function typesOf(queryable: Queryable, { columns }: TargetTable): Promise<TypeCatalog> {
  const types = new TypeCatalog(queryable)
  await types.load([...columns.values()].map(({ typeOid }) => typeOid))
  return types
}
