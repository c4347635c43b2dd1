import { viewOf } from '../../core/byteWriter.js'
import { TOAST_NOT_FETCHED } from '../../core/errors.js'
import type { Transaction } from '../../core/record.js'
import type { Table } from '../../core/table.js'
import { Tape } from '../../core/tape.js'
import { CopyOut } from '../../postgres/copy/copyOut.js'
import { readCopyRow } from '../../postgres/copy/row.js'
import { sqlName } from '../../postgres/identifier.js'
import { inspectPublication, type Publication } from '../../postgres/publication.js'
import { describeCause, isTransient, sqlstateOf } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import { areVisible } from '../../postgres/visibleTransactions.js'
import { rowFilterOf } from '../capturePlan.js'
import type { Found, Request } from './gaps.js'
import { canRead, findTarget, readSql, type Target } from './query.js'

export interface RowReaderOptions {
  readonly connect: () => Promise<Session>
  /** Whose row filters hold for what is read. */
  readonly publications: readonly string[]
}

/** Cancelled by an administrator, by recovery on a standby, or as a deadlock's victim: as good as lost. */
const WORTH_REPEATING = ['57014', '40001', '40P01']
/** A table may be altered between the look at the catalog and the query; not again and again. */
const MAX_LOOKS = 3

/** What came was more than was asked for at once: those rows are to be asked for again, fewer at a time. */
export class TooMuch extends Error {}

/** Reads rows by their keys over one connection of its own, which it opens when it needs one. */
export class RowReader {
  readonly #options: RowReaderOptions
  /** By table. The publication watch tells when a publication is altered. */
  readonly #rowFilters = new WeakMap<Table, { readonly sql: string | undefined }>()
  #session: Session | undefined

  constructor(options: RowReaderOptions) {
    this.#options = options
  }

  /** Whether what is read from now on shows these transactions' changes. */
  async sees(transactions: readonly Transaction[]): Promise<boolean> {
    return areVisible(
      await this.#open(),
      // What stands outside any transaction has no xid.
      transactions.filter(({ commitTime }) => commitTime !== undefined),
    )
  }

  /**
   * Answers the requests, all of one table, in one query; gives the bytes that they have. Rejects with {@link TooMuch}
   * as soon as more than `limit` bytes came for several.
   */
  async read(table: Table, requests: readonly Request[], limit: number): Promise<number> {
    for (let look = 1; ; look++) {
      const session = await this.#open()
      try {
        const target = await this.#target(session, table)
        return await this.#answer(session, target, table, requests, limit)
      } catch (error) {
        if (error instanceof TooMuch) this.renew()
        if (error instanceof TooMuch || isLoss(error)) throw error
        this.#rowFilters.delete(table)
        if (look < MAX_LOOKS) continue
        throw TOAST_NOT_FETCHED({ table: sqlName(table), problem: describeCause(error) }, { cause: error })
      }
    }
  }

  /** The connection may be dead: the next question has another one. */
  renew(): void {
    this.#session?.destroy()
    this.#session = undefined
  }

  async close(): Promise<void> {
    await this.#session?.close()
  }

  async #open(): Promise<Session> {
    this.#session ??= await this.#options.connect()
    return this.#session
  }

  /** Looked up each time, since no message tells of an ALTER before the next change of the table. */
  async #target(session: Session, table: Table): Promise<Target | undefined> {
    let rowFilter = this.#rowFilters.get(table)
    if (rowFilter === undefined) {
      rowFilter = { sql: await this.#rowFilterOf(session, table) }
      this.#rowFilters.set(table, rowFilter)
    }
    const found = await findTarget(session, table)
    return found && { ...found, rowFilter: rowFilter.sql }
  }

  async #rowFilterOf(session: Session, table: Table): Promise<string | undefined> {
    const publications: Publication[] = []
    for (const name of this.#options.publications) {
      const publication = await inspectPublication(session, name)
      if (publication !== undefined) publications.push(publication)
    }
    return rowFilterOf(table, publications)
  }

  async #answer(
    session: Session,
    target: Target | undefined,
    table: Table,
    requests: readonly Request[],
    limit: number,
  ): Promise<number> {
    const wanted = [...new Set(requests.flatMap(({ columns }) => [...columns]))]
    const answers: (Map<number, Found> | undefined)[] = requests.map(() => undefined)
    const ambiguous = new Set<number>()
    let bytes = 0
    if (target !== undefined && canRead(target, table, wanted)) {
      const asked = wanted.filter((column) => target.columns.has(table.columns[column]!.name))
      let tooMuch = false
      const copy = new CopyOut(session, readSql(target, table, asked, requests), {
        row: (chunk, start, end) => {
          if (tooMuch) return
          bytes += end - start
          tooMuch = bytes > limit && requests.length > 1
          // The server notices as soon as it sends more.
          if (tooMuch) return session.destroy()
          const row = readRow(chunk, start, end, asked)
          if (answers[row.number] !== undefined) ambiguous.add(row.number)
          answers[row.number] = row.values
        },
      })
      try {
        await copy.done
      } catch (error) {
        throw tooMuch ? new TooMuch() : error
      }
    }
    for (const [number, request] of requests.entries()) {
      const values = ambiguous.has(number) ? undefined : answers[number]
      request.answers = new Map([...(values ?? [])].filter(([column]) => request.columns.has(column)))
    }
    return bytes
  }
}

function readRow(chunk: Buffer, start: number, end: number, columns: readonly number[]) {
  const tape = new Tape(2 + 2 * columns.length)
  readCopyRow(chunk, viewOf(chunk), start, end, 1 + columns.length, tape)
  const [from, to, ...pairs] = tape.values
  const values = new Map<number, Found>()
  for (const [i, column] of columns.entries()) {
    values.set(column, { bytes: chunk, start: pairs[2 * i]!, end: pairs[2 * i + 1]! })
  }
  return { number: Number(chunk.toString('latin1', from, to)), values }
}

/** Another attempt may get through. */
export function isLoss(error: unknown): boolean {
  return isTransient(error) || WORTH_REPEATING.includes(sqlstateOf(error) ?? '')
}
