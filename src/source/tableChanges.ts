import { randomBytes } from 'node:crypto'
import { sleep } from '../core/abort.js'
import { TABLE_NEEDS_PUBLICATION, TABLE_NOT_CAPTURED, WHERE_INVALID } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { TABLE_LEFT_OUT } from '../core/warnings.js'
import { readingObstacle } from '../postgres/catalog/readability.js'
import { type CatalogTable, findTables } from '../postgres/catalog/tables.js'
import { quoteQualified, sqlName } from '../postgres/identifier.js'
import { formatLsn } from '../postgres/lsn.js'
import { publicationMark } from '../postgres/publicationState.js'
import { describeTransaction, waitForRunningTransactions } from '../postgres/runningTransactions.js'
import { isTransient, sqlstateOf } from '../postgres/serverError.js'
import { parseTablePatterns, RelationNames, type TablePattern } from '../postgres/tablePattern.js'
import { RECORDED_MS } from './acknowledgements.js'
import type { PlannedTable } from './capturePlan.js'
import type { CaptureSet } from './captureSet.js'
import type { ControlSession } from './controlSession.js'
import type { SourceEvent } from './events.js'
import { someOf } from './forgottenTables.js'
import type { ParsedOptions } from './options.js'
import type { Origin } from './position.js'
import { type Prepared, plan } from './preparation.js'
import {
  leavePublications,
  type PreparedPublications,
  preparePublications,
  publicationNames,
  publicationQuestion,
} from './publications.js'
import type { PublicationWatch } from './publicationWatch.js'
import { toBeRead } from './scan/scanKey.js'
import type { Scans } from './scan/scans.js'
import type { ShapeRegistry } from './shapeRegistry.js'
import type { TableControl } from './tableControl.js'
import { currentLsn } from './untilLsn.js'

export interface TableChangesOptions {
  readonly options: ParsedOptions
  readonly prepared: Prepared
  readonly control: ControlSession
  readonly capture: CaptureSet
  readonly scans: Scans
  readonly shapes: ShapeRegistry
  readonly publications: PublicationWatch
  /** Of the run: by which it is known to be ours. */
  readonly publication: string
  readonly slot: string
  /** Captured no more when the run began, and in our publications still. */
  readonly leaving: readonly number[]
  /** Other tables are captured from now on; `publications`: the mark of how they are published, where that is known. */
  readonly onCaptured: (now: Pick<Origin, 'captured' | 'leaving'> & { readonly publications?: string }) => void
  /** Until a position is durable whose captured tables are such. */
  readonly recorded: (holds: (captured: readonly number[]) => boolean) => Promise<void>
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

/** Captures more tables, or fewer, while the stream goes on. One change after the other. */
export class TableChanges implements TableControl {
  readonly #options: TableChangesOptions
  /** Taken out on request: their pattern does not bring them back. */
  readonly #removed = new Set<number>()
  /** Captured no more, and not known to have left our publications: each by its last removal. */
  readonly #leaving = new Map<number, object>()
  /** Tables that `keyless: skip` leaves out, and of which that was told. */
  readonly #toldLeftOut: Set<number>
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: TableChangesOptions) {
    this.#options = options
    this.#toldLeftOut = new Set(options.prepared.leftOut.keys())
    if (options.leaving.length === 0) return
    const removal = this.#removal(options.leaving)
    this.#leaveLater(removal, this.#recorded(options.leaving))
  }

  addTables(tables: string | readonly string[]): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const patterns = parseTablePatterns(tables)
      const added = await this.#add(patterns)
      for (const { table } of added) this.#removed.delete(table.oid)
      return added.map(({ table }) => sqlName(table))
    })
  }

  removeTables(tables: string | readonly string[]): Promise<readonly string[]> {
    return this.#inTurn(() => this.#remove(tables))
  }

  resnapshot(table: string, { where }: { readonly where?: string } = {}): Promise<void> {
    return this.#inTurn(() => this.#readAgain(table, where))
  }

  /** Reads rows of a captured table once more, if nobody reads it at this moment: else false. */
  readAgain(oid: number, where: string | undefined): Promise<boolean> {
    return this.#inTurn(async () => {
      const { control, capture, scans, signal } = this.#options
      const planned = capture.planned.find(({ table }) => table.oid === oid)
      if (planned === undefined || scans.of(oid)?.unread) return false
      await scans.again(toBeRead(planned, formatLsn(await currentLsn(control, signal))), where)
      return true
    })
  }

  /** Tables that the run's own patterns mean by now. */
  async look(): Promise<void> {
    const { include } = this.#options.options
    await this.#inTurn(() => this.#add(include, (oid) => !this.#removed.has(oid)))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#options
    const turn = this.#last.then(() => {
      signal.throwIfAborted()
      return work()
    })
    this.#last = turn.catch(() => {})
    return turn
  }

  async #add(patterns: readonly TablePattern[], wanted = (_: number) => true): Promise<readonly PlannedTable[]> {
    const { options, prepared, control, capture, scans, emit, signal } = this.#options
    const { facts, generated } = prepared
    await capture.lookForDropped(control)
    const found = await findTables(control, patterns, options.excluded)
    const tables = found.filter(({ oid }) => !capture.has(oid) && wanted(oid))
    if (tables.length === 0) return []
    const onLeftOut = (table: CatalogTable, refusal: TailraceError) => this.#tellLeftOut(table, refusal)
    const planned = plan(tables, options, facts, generated, { someOnly: true, onLeftOut })
    if (planned.length === 0) return []
    const added = planned.map(({ table }) => table)
    const obstacle = readingObstacle(added, facts.user)
    if (obstacle !== undefined) throw obstacle
    this.#requirePublications(planned)
    const id = formatLsn(await currentLsn(control, signal))
    // Before the publication sends them: none of their changes is passed over.
    capture.add(planned)
    await scans.add(
      planned.map((one) => toBeRead(one, id)),
      { held: true },
    )
    try {
      const publications = await this.#publish(capture.planned)
      capture.publishedBy(publications.publications)
      await waitForRunningTransactions(control, {
        signal,
        onWaiting: (holders) =>
          emit({ type: 'waiting-for-transactions', seconds: 0, holders: holders.map(describeTransaction) }),
      })
    } catch (error) {
      for (const { table } of planned) {
        capture.remove(table.oid)
        scans.remove(table.oid)
      }
      throw error
    }
    for (const { table } of planned) {
      this.#leaving.delete(table.oid)
      scans.release(table.oid)
    }
    this.#captured()
    return planned
  }

  /** Once: whoever looks for tables finds it each time. */
  #tellLeftOut(table: CatalogTable, { details }: TailraceError): void {
    if (this.#toldLeftOut.has(table.oid)) return
    this.#toldLeftOut.add(table.oid)
    this.#options.emit(TABLE_LEFT_OUT({ table: sqlName(table), sql: String(details.sql) }))
  }

  /** The names by which the stream was begun cannot be changed while it runs. */
  #requirePublications(planned: readonly PlannedTable[]): void {
    const { publication, publications } = this.#options
    const missing = publicationNames(publication, planned).filter((name) => !publications.names.includes(name))
    if (missing.length === 0) return
    throw TABLE_NEEDS_PUBLICATION({
      tables: planned.map(({ table }) => sqlName(table)),
      publication: missing.join(', '),
    })
  }

  async #publish(planned: readonly PlannedTable[]): Promise<PreparedPublications> {
    const { options, prepared, control, publications, publication: name, slot, emit } = this.#options
    return publications.altering(async () => {
      const prepares = preparePublications(control, planned, {
        name,
        slot,
        owner: options.host?.owner,
        serverVersion: prepared.facts.version,
        manage: options.managePublication,
        onMissing: () => {},
        onCreated: () => {},
        emit,
      })
      const found = await prepares
      return { result: found, watched: found.watched }
    })
  }

  async #remove(lists: string | readonly string[]): Promise<readonly string[]> {
    const { capture, scans, shapes, publications, publication: name, prepared } = this.#options
    const leaving = this.#capturedBy(lists)
    if (leaving.length === capture.oids.length) {
      throw TABLE_NOT_CAPTURED({ tables: lists.toString(), problem: 'no table would be left', captured: this.#names() })
    }
    const oids = leaving.map(({ table }) => table.oid)
    // What becomes of those that leave is nobody's fault from here on, nor of whoever goes on from a position.
    const staying = capture.planned.filter(({ table }) => !oids.includes(table.oid))
    const question = publicationQuestion(staying, { name, serverVersion: prepared.facts.version })
    const states = await publications.narrow(question)
    for (const { table } of leaving) {
      this.#removed.add(table.oid)
      capture.remove(table.oid)
      scans.remove(table.oid)
      shapes.forget(table.oid)
    }
    const removal = this.#removal(oids)
    // Every position from here on: one that has the table captured would not have it read when it comes back.
    this.#follow({ publications: publicationMark(states, question.tables) })
    // Durable before the publication is altered: by an older position the table was captured all the time.
    const recorded = this.#recorded(oids)
    if (await this.#inTime(recorded)) await this.#leave(removal)
    else this.#leaveLater(removal, recorded)
    this.#captured()
    return leaving.map(({ table }) => sqlName(table))
  }

  async #inTime(recorded: Promise<void>): Promise<boolean> {
    const over = new AbortController()
    const late = sleep(RECORDED_MS, AbortSignal.any([this.#options.signal, over.signal])).then(() => false)
    try {
      return await Promise.race([recorded.then(() => true), late])
    } finally {
      over.abort()
    }
  }

  #removal(oids: readonly number[]): object {
    const removal = {}
    for (const oid of oids) this.#leaving.set(oid, removal)
    return removal
  }

  #recorded(oids: readonly number[]): Promise<void> {
    return this.#options.recorded((captured) => !oids.some((oid) => captured.includes(oid)))
  }

  /** What does not come to it in this run is left to the next: positions tell of it. */
  #leaveLater(removal: object, recorded: Promise<void>): void {
    recorded.then(() => this.#inTurn(() => this.#leave(removal))).catch(() => {})
  }

  async #leave(removal: object): Promise<void> {
    const { control, capture, publications, publication: name, prepared, slot } = this.#options
    const leaving = [...this.#leaving].flatMap(([oid, one]) => (one === removal ? [oid] : []))
    await publications.altering(async () => {
      const wishes = { name, slot, serverVersion: prepared.facts.version }
      return { result: undefined, watched: await leavePublications(control, leaving, capture.planned, wishes) }
    })
    for (const oid of leaving) this.#leaving.delete(oid)
    this.#follow()
  }

  /** What positions say from here on. */
  #follow(publications?: { readonly publications: string }): void {
    const { capture, onCaptured } = this.#options
    onCaptured({ captured: capture.oids, leaving: someOf([...this.#leaving.keys()]), ...publications })
  }

  async #readAgain(table: string, where: string | undefined): Promise<void> {
    const { control, scans, signal } = this.#options
    const planned = this.#capturedBy(table)
    // Other ids than before, also on a server that wrote nothing since.
    const id = `${formatLsn(await currentLsn(control, signal))}.${randomBytes(4).toString('hex')}`
    if (where !== undefined) for (const one of planned) await this.#checkWhere(one, where)
    for (const one of planned) {
      await scans.again(toBeRead(one, id), where)
    }
  }

  /** As one statement, which a condition that ends it and begins another is not. */
  async #checkWhere({ table }: PlannedTable, where: string): Promise<void> {
    const { control } = this.#options
    try {
      await control.query(
        `SELECT FROM ${quoteQualified(table.schema, table.name)} WHERE (${where}\n) AND $1::pg_catalog.bool LIMIT 0`,
        [false],
      )
    } catch (cause) {
      if (isTransient(cause) || sqlstateOf(cause) === undefined) throw cause
      const { message } = (cause as { details: { message: string } }).details
      throw WHERE_INVALID({ table: sqlName(table), where, problem: message }, { cause })
    }
  }

  #capturedBy(lists: string | readonly string[]): readonly PlannedTable[] {
    const { capture } = this.#options
    const names = new RelationNames(capture.planned.map(({ table }) => table))
    const found = new Set<number>()
    for (const pattern of parseTablePatterns(lists)) {
      const matching = names.match(pattern)
      if (matching.length === 0) {
        throw TABLE_NOT_CAPTURED({ tables: pattern.text, problem: 'it is not captured', captured: this.#names() })
      }
      for (const { oid } of matching) found.add(oid)
    }
    return capture.planned.filter(({ table }) => found.has(table.oid))
  }

  #names(): readonly string[] {
    return this.#options.capture.planned.map(({ table }) => sqlName(table))
  }

  #captured(): void {
    this.#follow()
    this.#options.emit({ type: 'capturing', tables: this.#names() })
  }
}
