import { DEAD_LETTER_ROW_MISSING, DEAD_LETTERS_BUSY } from '../../core/deadLetterErrors.js'
import { TARGET_TABLE_MISSING } from '../../core/destinationErrors.js'
import type { Table } from '../../core/table.js'
import { type DestinationOptions, type ParsedDestination, parseDestination } from '../../destination/options.js'
import { type FoundTable, PlainDestination, TargetChanged } from '../../destination/plainDestination.js'
import { joinTarget, type Target } from '../../destination/target.js'
import type { TargetColumn } from '../../destination/targetTable.js'
import { quoteLiteral, quoteQualified, sqlName } from '../../postgres/identifier.js'
import { sqlstateOf } from '../../postgres/serverError.js'
import { Session } from '../../postgres/session.js'
import type { LetterRecord } from '../deadLetters/letterRecord.js'
import { letterRows } from '../deadLetters/letterRows.js'

/** A run's batch is written in less, unless it reads a table without a key, which it may do for hours. */
const WAIT_MS = 10_000
/** What writes a letter is over, or undone, long before the server would give up the lock that stands beside it. */
const WRITE_MS = 3000
const LOCK_NOT_AVAILABLE = '55P03'

/**
 * Writes dead letters of a `postgres` sink into its tables, beside a run or without one: as the sink itself does, but with no
 * checkpoint, since the stream has passed them.
 */
export class LetterWriter {
  readonly #sink: string
  readonly #settings: ParsedDestination
  readonly #tables = new Map<string, FoundTable>()
  readonly #plain: PlainDestination
  #session: Session | undefined
  #isBusy = false

  constructor(sink: string, options: DestinationOptions) {
    this.#sink = sink
    this.#settings = parseDestination(options)
    this.#plain = new PlainDestination({
      ...this.#settings,
      name: `dead letters of ${this.#settings.source}`,
      // A second try might come when the lock is gone.
      retryMs: 0,
      limitMs: WRITE_MS,
      mayWrite: () => this.#proveLock(),
      onOtherWriter: () => {
        this.#isBusy = true
      },
    })
  }

  async open(): Promise<void> {
    await this.#plain.open()
    if (this.#isBusy) {
      throw DEAD_LETTERS_BUSY({ sink: this.#sink, problem: 'somebody else is writing them again' })
    }
    this.#session = await Session.connect(this.#settings.connection)
  }

  async close(): Promise<void> {
    await Promise.all([this.#plain.close(), this.#session?.close()])
  }

  /** What is written is appended, so that nothing stands there that could be newer. */
  isAppended({ key }: LetterRecord): boolean {
    return key === undefined || this.#settings.mode.kind === 'history'
  }

  /**
   * While `work` is done a run beside it writes nothing: what it has written by then it stays behind, and what it writes
   * afterwards is later. Not for long: once the lock is lost, {@link write} rejects.
   */
  async quietly<T>(work: () => Promise<T>): Promise<T> {
    const session = this.#session!
    try {
      await this.#lock(session)
      return await work()
    } finally {
      await session.query('ROLLBACK')
    }
  }

  /** Rejects with why the target does not take it, or with what is wrong with a connection. Only within {@link quietly}. */
  async write(record: LetterRecord): Promise<void> {
    for (let again = false; ; again = true) {
      const found = await this.#find(record)
      try {
        return await this.#write(record, found, again)
      } catch (error) {
        if (!(error instanceof TargetChanged) || again) throw error
        this.#tables.clear()
      }
    }
  }

  async #write(record: LetterRecord, { facts, types }: FoundTable, again: boolean): Promise<void> {
    const columnOf = (name: string) => {
      const column = facts.columns.get(name)
      return column && { column: { ...column, typmod: -1 }, type: types.get(column.typeOid) }
    }
    const { rows, table } = letterRows(record, { oid: facts.oid, columnOf })
    const target = this.#targetOf(table, facts)
    const { rejected, missing } = await this.#plain.write(rows, [target], again)
    const [cause] = rejected.values()
    if (cause !== undefined) throw cause
    if (missing.length === 0) return
    const names = record.unchanged.join(', ')
    throw DEAD_LETTER_ROW_MISSING({ id: record.id, table: target.target, unchanged: names })
  }

  #targetOf(table: Table, facts: FoundTable['facts']): Target {
    const target = joinTarget(table, facts, this.#settings.keys, this.#settings.mode)
    const isWhole = [...facts.columns.values()].every(
      (column) => table.columns.some(({ name }) => name === column.name) || isLeftToTheTable(column),
    )
    // ON CONFLICT wants a row that could be inserted, even where it then updates one.
    return isWhole ? target : { ...target, hasArbiter: false }
  }

  async #find({ schema, table }: LetterRecord): Promise<FoundTable> {
    const name = this.#settings.targetOf({ schema, name: table })
    const key = sqlName(name)
    const known = this.#tables.get(key) ?? (await this.#plain.findTable(name))
    if (known === undefined) throw TARGET_TABLE_MISSING({ table: key, source: sqlName({ schema, name: table }) })
    this.#tables.set(key, known)
    return known
  }

  /** Its transaction has stood since the lock was taken, and does so for another while: a lost one takes the session along. */
  async #proveLock(): Promise<void> {
    await this.#session!.query('SELECT 1')
  }

  async #lock(session: Session): Promise<void> {
    const { checkpointSchema, source } = this.#settings
    const names = ['checkpoint', 'lane'].map((name) => quoteQualified(checkpointSchema, name))
    const there = await session.query<{ name: string }>(
      `SELECT name FROM pg_catalog.unnest($1::pg_catalog.text[]) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL`,
      [names],
    )
    const locks = names
      .filter((name) => there.some((one) => one.name === name))
      .map((name) => `SELECT FROM ${name} WHERE source = ${quoteLiteral(source)} FOR UPDATE`)
    try {
      await session.query(
        [
          'BEGIN',
          `SET LOCAL lock_timeout = ${WAIT_MS}`,
          // Should this process be put to sleep, the run goes on.
          `SET LOCAL idle_in_transaction_session_timeout = ${WAIT_MS}`,
          ...locks,
        ].join(';\n'),
      )
    } catch (cause) {
      if (sqlstateOf(cause) !== LOCK_NOT_AVAILABLE) throw cause
      const problem = 'the run has had a transaction open for long, as while it reads a table without a key'
      throw DEAD_LETTERS_BUSY({ sink: this.#sink, problem }, { cause })
    }
  }
}

function isLeftToTheTable({ notNull, hasDefault, generated, identity }: TargetColumn): boolean {
  return !notNull || hasDefault || generated || identity !== undefined
}
