import { sleep } from '../../core/abort.js'
import { backoffMs } from '../../core/backoff.js'
import { TABLE_NOT_FOUND } from '../../core/errors.js'
import { RowBatch } from '../../core/rowBatch.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { POLLING_READS_AGAIN } from '../../core/warnings.js'
import type { CopyOut } from '../../postgres/copy/copyOut.js'
import type { Lsn } from '../../postgres/lsn.js'
import { openTransactions } from '../../postgres/openTransactions.js'
import { describeTransaction, runningTransactions } from '../../postgres/runningTransactions.js'
import { isTransient, sqlstateOf } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import type { RunContext } from '../runContext.js'
import { lockOn } from '../snapshot/tableLocks.js'
import { moveFloor } from './floor.js'
import { lookAgain } from './mark.js'
import { beginPage, type Page, ShapeChanged } from './page.js'
import type { PollState, TableState } from './pollState.js'
import type { PollTable } from './pollTable.js'
import { orderOf, TablePass } from './tablePass.js'

export interface PollLoopOptions {
  readonly context: RunContext
  /** The tables as they are now: asked again when one was altered. Those that are gone are left out. */
  readonly plan: () => Promise<readonly PollTable[]>
  readonly connect: () => Promise<Session>
  readonly state: PollState
  /** Without it nothing says who could still commit a low value of a cursor column: all of a table is looked at. */
  readonly inRecovery: boolean
  readonly unread: 'snapshot' | 'none'
  /** `stateAt(index)`: the state behind that record. */
  readonly deliver: (rows: RowBatch, lsn: Lsn, stateAt: (index: number) => PollState) => void
  readonly signal: AbortSignal
}

/**
 * A page keeps its transaction open until the consumer has taken all but what may wait for it: so many rows as that may
 * be, of this size. Later pages of a long pass have more, since each is a part of the position.
 */
const ROW_BYTES = 200
/** Of transactions that were seen before an older one had ended. A position has them, at one to three bytes each. */
const MAX_XIDS = 4096
const BACKOFF = { firstMs: 200, maxMs: 5000 }
/** While rows are held back it is told who causes it, but not with every poll. */
const TELL_MS = 60_000
const PROGRESS_MS = 500

/** Polls the tables, one after the other, until the signal or `until`. */
export class PollLoop {
  readonly #options: PollLoopOptions
  #tables: readonly PollTable[] = []
  #state: PollState
  #session: Session | undefined
  #copy: CopyOut | undefined
  #wake: () => void = () => {}
  #lsn: Lsn = 0n
  #told = Number.NEGATIVE_INFINITY
  #progressTold = Number.NEGATIVE_INFINITY
  /** Records and polls so far, also of what the consumer did not take yet. */
  #count: number

  constructor(options: PollLoopOptions) {
    this.#options = options
    this.#state = options.state
    this.#count = options.state.count
    options.context.queue.onDemand = () => {
      if (options.context.queue.full) return
      this.#copy?.resume()
      this.#wake()
    }
  }

  async run(): Promise<void> {
    const { context, signal } = this.#options
    const { options, emit } = context
    const stop = () => {
      // On the server too: it may wait for a lock.
      if (this.#session !== undefined) context.connections.control.abandon(this.#session)
      this.#wake()
    }
    signal.addEventListener('abort', stop, { once: true })
    try {
      await this.#replan()
      const first = this.#tables.some(({ name }) => this.#state.tables[name] === undefined)
      const began = performance.now()
      if (first && this.#options.unread === 'snapshot') emit(this.#started())
      const tables = this.#tables.length
      for (let round = 1; ; round++) {
        const { rows, complete } = await this.#round()
        if (round === 1) {
          const seconds = (performance.now() - began) / 1000
          if (first && this.#options.unread === 'snapshot') emit({ type: 'snapshot-finished', rows, seconds })
          emit({ type: 'polling', tables, intervalMs: options.pollIntervalMs })
        }
        if (complete && options.until === 'current') return
        // What was read in several snapshots is read once more at once: rows may have moved between them.
        if (complete || rows === 0) await sleep(options.pollIntervalMs, signal)
      }
    } finally {
      signal.removeEventListener('abort', stop)
      await this.#session?.close()
    }
  }

  #started() {
    const rows = this.#tables.map(({ catalog }) => catalog.estimatedRows ?? 0)
    return {
      type: 'snapshot-started',
      tables: rows.length,
      estimatedRows: rows.reduce((sum, one) => sum + one, 0),
    } as const
  }

  /** One poll of every table. `complete`: each in one snapshot, and nothing is held back. */
  async #round(): Promise<{ readonly rows: number; readonly complete: boolean }> {
    let rows = 0
    let complete = true
    for (const { name } of [...this.#tables]) {
      for (let attempt = 1; ; ) {
        const table = this.#tables.find((one) => one.name === name)
        if (table === undefined) break
        const before = this.#count
        try {
          const pass = await this.#poll(table)
          rows += pass.delivered
          complete &&= pass.pages === 1 && pass.heldBack === 0
          break
        } catch (error) {
          if (this.#count > before) attempt = 1
          await this.#recover(error, attempt++)
        }
      }
    }
    return { rows, complete }
  }

  async #poll(table: PollTable): Promise<TablePass> {
    const { context, unread, inRecovery } = this.#options
    const { queue, batchBytes } = context
    this.#session ??= await this.#options.connect()
    const session = this.#session
    const state = this.#stateOf(table)
    const mark = state?.mark && lookAgain(state.mark, await openTransactions(session))
    const pass = new TablePass({
      table,
      state,
      unread,
      maxXids: MAX_XIDS,
      batchBytes,
      queue,
      deliver: (rows, stateAt) => this.#deliver(table, rows, stateAt),
      onCopy: (copy) => {
        this.#copy = copy
      },
    })
    const { emit, connections } = context
    const lock = ({ catalog }: PollTable) =>
      lockOn(session, connections.control, [catalog], { emit, signal: this.#options.signal })
    const horizon = Math.max(0, ...(state?.parts ?? []).map(({ seen }) => seen?.horizon ?? 0))
    for (;;) {
      await this.#room()
      const page = await beginPage(session, table, horizon, lock)
      this.#lsn = page.lsn
      // After the snapshot: whoever begins later takes no lower value than what it shows.
      const open = table.hasCursor && !inRecovery ? await openTransactions(session) : undefined
      const limit = Math.ceil(context.options.maxBytes / ROW_BYTES) * (pass.pages + 1)
      const finished = await pass.readPage(session, page, limit)
      if (finished) {
        await this.#finish(table, pass, state, { mark, open }, page)
        await session.query('COMMIT')
        return pass
      }
      await session.query('COMMIT')
      if (state === undefined) this.#tellProgress(table, pass)
    }
  }

  #tellProgress({ name, catalog }: PollTable, { delivered }: TablePass): void {
    const { context, unread } = this.#options
    if (unread === 'none' || performance.now() - this.#progressTold < PROGRESS_MS) return
    this.#progressTold = performance.now()
    const estimatedRows = catalog.estimatedRows ?? 0
    context.emit({ type: 'snapshot-progress', table: name, rows: delivered, estimatedRows })
  }

  async #finish(
    table: PollTable,
    pass: TablePass,
    before: TableState | undefined,
    { mark, open }: { readonly mark: TableState['mark']; readonly open: readonly string[] | undefined },
    page: Page,
  ): Promise<void> {
    const { lastCursor } = pass
    const end = { lastCursor, mark, open, heldBack: pass.heldBack > 0 }
    const nothing = { floor: undefined, top: undefined, mark: undefined }
    const moved = table.hasCursor ? await moveFloor(this.#session!, table, before, end) : nothing
    const state: TableState = { oid: table.catalog.oid, order: orderOf(table), parts: pass.parts, ...moved }
    const { context, unread } = this.#options
    if (before === undefined && unread === 'snapshot') {
      context.emit({ type: 'snapshot-table-finished', table: table.name, rows: pass.delivered })
    }
    if (pass.heldBack > 0) await this.#tellHolders()
    // Where nothing came and little has changed, the position of the last poll does as well.
    const last = before?.parts.at(-1)?.seen?.horizon ?? Number.NEGATIVE_INFINITY
    const worth = pass.delivered > 0 || before === undefined || before.parts.length > 1 || before.floor !== moved.floor
    this.#state = { count: this.#count, tables: { ...this.#state.tables, [table.name]: state } }
    if (!worth && page.horizon - last < WORTH_XIDS) return
    this.#count++
    const stored = { count: this.#count, tables: this.#state.tables }
    this.#state = stored
    this.#options.deliver(new RowBatch(), this.#lsn, () => stored)
  }

  #deliver(table: PollTable, rows: RowBatch, stateAt: (index: number) => TableState): void {
    const before = this.#count
    const { tables } = this.#state
    this.#count += rows.count
    const stateBehind = (index: number): PollState => {
      return { count: before + index + 1, tables: { ...tables, [table.name]: stateAt(index) } }
    }
    this.#state = stateBehind(rows.count - 1)
    this.#options.deliver(rows, this.#lsn, stateBehind)
  }

  /** A table made anew under its name, or ordered by something else now, is another one. */
  #stateOf(table: PollTable): TableState | undefined {
    const state = this.#state.tables[table.name]
    if (state === undefined || state.oid !== table.catalog.oid) return undefined
    if (state.order === orderOf(table)) return state
    this.#options.context.emit(POLLING_READS_AGAIN({ table: table.name }))
    const { [table.name]: _, ...tables } = this.#state.tables
    this.#state = { count: this.#count, tables }
    return undefined
  }

  async #tellHolders(): Promise<void> {
    if (performance.now() - this.#told < TELL_MS) return
    this.#told = performance.now()
    const { emit, connections } = this.#options.context
    const holders = await runningTransactions(connections.control)
    const seconds = Math.round(Math.max(0, ...holders.map((one) => one.seconds ?? 0)))
    emit({ type: 'waiting-for-transactions', seconds, holders: holders.map(describeTransaction) })
  }

  /** After a failure in the middle of a poll, which begins again behind what was delivered. */
  async #recover(error: unknown, attempt: number): Promise<void> {
    const { context, signal } = this.#options
    this.#session?.destroy()
    this.#session = undefined
    signal.throwIfAborted()
    if (error instanceof ShapeChanged || ALTERED.includes(sqlstateOf(error) ?? '')) {
      if (attempt > MAX_ALTERED) throw error
      await this.#replan()
      return
    }
    if (!isTransient(error)) throw error
    const delayMs = backoffMs(attempt, BACKOFF)
    context.emit({ type: 'reconnecting', attempt, delayMs, cause: error as TailraceError })
    await sleep(delayMs, signal)
  }

  async #replan(): Promise<void> {
    const before = this.#tables
    this.#tables = await this.#options.plan()
    for (const { name, catalog } of before) {
      if (this.#tables.some((one) => one.catalog.oid === catalog.oid)) continue
      this.#options.context.emit({ type: 'table-dropped', table: name })
    }
    if (this.#tables.length === 0) throw TABLE_NOT_FOUND({ names: before.map(({ name }) => name), nearest: [] })
  }

  /** A page begins only when there is room for it: its transaction must not wait for a consumer that sleeps. */
  async #room(): Promise<void> {
    const { context, signal } = this.#options
    while (context.queue.full) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    signal.throwIfAborted()
  }
}

/** Undefined table, column, schema, or object of another kind: the table was dropped, renamed or altered meanwhile. */
const ALTERED: readonly string[] = ['42P01', '42703', '3F000', '42809']
const MAX_ALTERED = 5
/** The position of a table that stays as it is must not grow too old. */
const WORTH_XIDS = 1_000_000
