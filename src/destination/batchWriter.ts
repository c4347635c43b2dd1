import type { Position } from '../core/record.js'
import { HEAD, HEAD_TABLE, type RowBatch } from '../core/rowBatch.js'
import type { TailraceError } from '../core/tailraceError.js'
import { type ScriptPart, ScriptPipe } from '../postgres/copy/script.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from '../source/batch.js'
import { StreamPosition } from '../source/position.js'
import { Applier, type LoadedStep } from './applier.js'
import { BatchesAhead, type Ready } from './batchesAhead.js'
import { CarefulWriter, loadSteps, type Rejected } from './carefulWriter.js'
import { directStatements, isSmall } from './directWrite.js'
import { ShapeRefused } from './evolution.js'
import { isOfRows, isPassing, serverText } from './failure.js'
import { deleteGoneRows } from './goneRows.js'
import type { LazyCommits } from './lazyCommits.js'
import type { Mode } from './modes.js'
import { type RejectionPolicy, rejectRecord } from './rejectedRecord.js'
import { SessionTargets, type SessionTargetsOptions } from './sessionTargets.js'
import { planLines, planSteps, type StepOptions } from './steps.js'
import type { Target } from './target.js'
import { type Use, usesOf } from './uses.js'

export interface BatchWriterOptions extends SessionTargetsOptions, RejectionPolicy {
  readonly mode: Mode
  readonly lazyCommits: LazyCommits
  /** Hears why records were put aside, when that is committed. */
  readonly onPutAside: (problems: readonly string[]) => void
}

/** Of a batch what can be done before its turn. */
export type Ahead = Pick<Batch, 'rows' | 'position' | 'range'>

/** What a statement of ours fails with where it does not find what it must. */
const DIVISION_BY_ZERO = '22012'
/** After a row was not there although an update said so: in so many batches no row is taken to be there. */
const INSERTS_ALL = 64

/** Writes batches over one session, in transactions. What fails leaves the session to be rolled back. */
export class BatchWriter {
  readonly session: Session
  readonly #options: BatchWriterOptions
  readonly #applier: Applier
  readonly #targets: SessionTargets
  readonly #ahead: BatchesAhead<Ahead>

  /** `takesCopies` outlives the session. */
  constructor(session: Session, takesCopies: Map<string, boolean>, options: BatchWriterOptions) {
    this.session = session
    this.#options = options
    this.#targets = new SessionTargets(session, takesCopies, options)
    this.#applier = new Applier(session)
    this.#ahead = new BatchesAhead({
      session,
      pipe: new ScriptPipe(session),
      load: (batch) => this.#loadAhead(batch),
      scriptOf: (batch, loaded) => {
        const { rows } = batch
        // Of targets that are copied into it may have to be asked whether they are empty.
        const waits =
          usesOf(rows).some(({ isCopied }) => isCopied) ||
          this.#targets.needsKeys(batch) ||
          !loaded.every((step) => this.#applier.isPrepared(step))
        return waits ? undefined : [options.checkpoint.openingNext, ...this.#applier.script(loaded)]
      },
    })
  }

  /** A transaction is open with batches in it that were not committed: they are lost with the session. */
  get holds(): boolean {
    return this.#holds
  }
  #holds = false
  /** In the open transaction. */
  #aside: string[] = []
  /** Batches to come, see {@link INSERTS_ALL}. */
  #insertsAll = 0

  /** Made something in its transaction that is gone if that fails: another session has to be made then. */
  get isStale(): boolean {
    return this.#isStale
  }
  #isStale = false

  /**
   * Writes a batch, `carefully` where something of it was rejected; true: it is committed, with its position, and durable.
   * Where the source says that whoever goes on from that position gets rows once more (of a table without a key, while it is read),
   * nothing is committed before a position that does not.
   */
  async write<Tables extends object>(batch: Batch<Tables>, carefully: boolean): Promise<boolean> {
    const { checkpoint, lazyCommits } = this.#options
    const { rows } = batch
    const ready = await this.#ahead.take(batch)
    const uses = usesOf(rows)
    const fresh = this.#freshOf(rows, uses)
    for (const { index } of fresh) {
      const table = rows.tables[index]!
      this.#targets.sees(table)
      if (!this.#holds) await this.#options.evolution!.addLabels(this.session, table)
    }
    await this.#targets.buildKeys(batch, uses, this.#holds)
    const targets: Target[] = []
    for (const use of uses) {
      if (!fresh.includes(use)) targets[use.index] = await this.#targets.find(batch, use, carefully)
    }
    const takesCopies = (target: Target) => !carefully && this.#targets.mayCopy(target)
    const repeats = saysItRepeats(batch.position)
    const lazily = lazyCommits.isNext(rows.count)
    if (carefully || repeats || this.#holds || fresh.length > 0) {
      if (ready.written !== undefined) await this.#rollBack(ready.written)
      await this.#applier.prepareAll(new Set(targets.filter((target) => target !== undefined)))
      if (!(await this.#begin())) return lazyCommits.found()
      this.#holds = repeats || this.#holds
      await this.#deleteGone(batch)
      await this.#writeFollowing(batch, fresh, { targets, takesCopies, carefully })
    } else {
      if (await this.#writeAtOnce(batch, targets, lazily, ready)) return !lazily
      const loaded = loadSteps(this.#applier, rows, 0, rows.count, { targets, takesCopies })
      for (const step of loaded) await this.#applier.prepare(step)
      if (!(await this.#begin())) return lazyCommits.found()
      await this.#deleteGone(batch)
      for (const step of loaded) await this.#applier.apply(step)
    }
    if (repeats) return false
    await this.#options.evolution?.store(this.session)
    await checkpoint.commit(this.session, batch.position.toJSON(), lazily)
    lazyCommits.committed(lazily)
    this.#options.evolution?.commit()
    this.#options.onPutAside(this.#aside)
    this.#holds = this.#isStale = false
    return !lazily
  }

  /**
   * Tells of the batch behind the one that is being written, and all that it was told of: it is made ready, and sent up to its
   * commit when the one before it is on its way. It need not come.
   */
  prepare(batch: Ahead): void {
    this.#ahead.tell(batch)
  }

  /** The session is to be asked something else: what was sent of batches that have not come is rolled back. */
  async settle(): Promise<void> {
    await this.#ahead.clear()
  }

  /** Something of batches that have not come is, or will be, open in the session. */
  get isAhead(): boolean {
    return this.#ahead.isOpen
  }

  #loadAhead(batch: Ahead): readonly LoadedStep[] | undefined {
    if (this.#holds || saysItRepeats(batch.position) || isSmall(batch.rows) || batch.range?.again === true)
      return undefined
    const targets = this.#targets.knownOf(batch)
    if (targets === undefined) return undefined
    const changes = usesOf(batch.rows).filter(({ isChanged }) => isChanged)
    const changed = new Set(changes.map(({ index }) => targets[index]!.target))
    try {
      return this.#load(batch.rows, targets, (target) => !changed.has(target.target))
    } catch {
      // It is told when its turn comes.
      return undefined
    }
  }

  /**
   * What copies a batch, where it is nothing but rows of a first copy into tables that had none, so that it may be copied
   * while those before it are; undefined: it is not known to be such, or to be worth it.
   */
  copiesOf<Tables extends object>(batch: Batch<Tables>): readonly ScriptPart[] | undefined {
    const { rows, position, range } = batch
    if (this.#holds || saysItRepeats(position) || range?.again === true || isSmall(rows)) return undefined
    const targets = this.#targets.knownOf(batch)
    if (targets === undefined) return undefined
    const lines = planLines(rows, { targets, takesCopies: this.#targets.mayCopy })
    return lines === undefined ? undefined : this.#applier.scriptOfLines(lines)
  }

  /**
   * The targets of a batch that is nothing but changes of tables that this session knows, and large enough to be worth several
   * connections; else undefined.
   */
  targetsOfChanges<Tables extends object>(batch: Batch<Tables>): readonly Target[] | undefined {
    if (!this.isOfChanges(batch)) return undefined
    const targets = batch.rows.tables.map((table) => this.#targets.of(table)!)
    return usesOf(batch.rows).some(({ index }) => targets[index] === undefined) ? undefined : targets
  }

  /** The same, and those that it does not know are looked up, unless they may have to be altered. */
  async findTargetsOfChanges<Tables extends object>(batch: Batch<Tables>): Promise<readonly Target[] | undefined> {
    if (!this.isOfChanges(batch)) return undefined
    const uses = usesOf(batch.rows)
    if (this.#freshOf(batch.rows, uses).length > 0) return undefined
    await this.#targets.buildKeys(batch, uses, this.#holds)
    const targets: Target[] = []
    for (const use of uses) if (!use.isCopied) targets[use.index] = await this.#targets.find(batch, use, false)
    return uses.some(({ isCopied }) => isCopied) ? undefined : targets
  }

  /** Whether it is such a batch, whatever is known of its tables. */
  isOfChanges<Tables extends object>({ rows, position, range }: Batch<Tables>): boolean {
    return !(this.#holds || range !== undefined || rows.areLines || isSmall(rows) || saysItRepeats(position))
  }

  /** A batch was written by several connections. */
  wroteParted(): void {
    if (this.#insertsAll > 0) this.#insertsAll--
  }

  /** See {@link Applier.load}. */
  get overwrites(): boolean {
    return this.#insertsAll === 0
  }

  /** Batches that it was told of, and that were not sent, go another way. */
  forgetAhead(): void {
    this.#ahead.forget()
  }

  /** Of this session. */
  get applier(): Applier {
    return this.#applier
  }

  /**
   * Sends the whole transaction without waiting for anything in between. False: nothing was written, and how it is to be
   * written, whether it was, or what is wrong with it is found elsewhere.
   */
  async #writeAtOnce<Tables extends object>(
    batch: Batch<Tables>,
    targets: readonly Target[],
    lazily: boolean,
    { loaded: prepared, written }: Ready,
  ): Promise<boolean> {
    const { checkpoint, lazyCommits } = this.#options
    if (this.#insertsAll > 0) this.#insertsAll--
    if (batch.range?.again === true) return false
    const isReady = written !== undefined || prepared !== undefined
    const small = !isReady && isSmall(batch.rows) ? this.#direct(batch.rows, targets) : undefined
    const ending = checkpoint.ending(batch.position.toJSON(), lazily)
    try {
      if (small !== undefined) await this.session.query([checkpoint.opening, ...small, ending].join(';\n'))
      else if (written !== undefined) {
        // What was refused before may be told at once: the session is free only when its end was answered, too.
        const ended = this.#ahead.finish([ending])
        for (const { status, reason } of (await Promise.allSettled([written, ended])) as PromiseRejectedResult[])
          if (status === 'rejected') throw reason
      } else {
        const loaded = prepared ?? this.#load(batch.rows, targets, () => true)
        for (const step of loaded) await this.#applier.prepare(step)
        await this.#ahead.finish([checkpoint.opening, ...this.#applier.script(loaded), ending])
      }
      checkpoint.committed()
      lazyCommits.committed(lazily)
      return true
    } catch (error) {
      this.#ahead.forget()
      // Of a small batch all that is told is that it failed; of others an error of a row or of the connection is the answer.
      if (isPassing(error) || (small === undefined && sqlstateOf(error) !== DIVISION_BY_ZERO)) throw error
      if (small === undefined) this.#insertsAll = INSERTS_ALL
      await this.session.query('ROLLBACK')
      return false
    }
  }

  async #rollBack(written: Promise<void>): Promise<void> {
    await written.catch(() => {})
    await this.session.query('ROLLBACK')
  }

  #direct(rows: RowBatch, targets: readonly Target[]): readonly string[] | undefined {
    const steps = planSteps(rows, 0, rows.count, { targets, takesCopies: this.#targets.mayCopy })
    return directStatements(rows, steps, (target) => this.#applier.sqlOf(target))
  }

  #load(rows: RowBatch, targets: readonly Target[], unless: (target: Target) => boolean): LoadedStep[] {
    const takesCopies = (target: Target) => this.#targets.mayCopy(target) && unless(target)
    return loadSteps(this.#applier, rows, 0, rows.count, { targets, takesCopies }, this.overwrites)
  }

  /** First, since a row that is gone may have what is unique. */
  async #deleteGone<Tables extends object>({ range, rows }: Batch<Tables>): Promise<void> {
    if (range?.again !== true) return
    const { targetOf, mode } = this.#options
    await deleteGoneRows(this.session, range, rows, this.#targets.shapeOf(range), targetOf(range), mode)
  }

  async #begin(): Promise<boolean> {
    if (this.#holds) return true
    this.#applier.begin()
    this.#options.evolution?.begin()
    this.#aside = []
    return this.#options.checkpoint.begin(this.session)
  }

  /** All records; where the first row of a fresh shape stands the target is altered, in the same transaction. */
  async #writeFollowing<Tables extends object>(
    batch: Batch<Tables>,
    fresh: readonly Use[],
    options: StepOptions & { readonly targets: Target[]; readonly carefully: boolean },
  ): Promise<void> {
    const careful = new CarefulWriter({
      session: this.session,
      applier: this.#applier,
      isRejection: isOfRows,
      beforeHalves: () => this.#buildKeysOf(options.targets),
      reject: (record, cause) => this.#reject(batch, record, options.targets, cause as TailraceError),
    })
    let from = 0
    for (const use of fresh) {
      await careful.write(batch.rows, from, use.first, options)
      from = use.first
      this.#isStale = true
      try {
        const table = batch.rows.tables[use.index]!
        const shape = await this.#options.evolution!.follow(this.session, table)
        const target = await this.#targets.find(batch, use, options.carefully)
        options.targets[use.index] = target
        this.#options.evolution!.followed(table, shape, target.facts)
      } catch (error) {
        if (from === 0 || this.#holds || isPassing(error)) throw error
        throw new ShapeRefused(from, error)
      }
      await this.#applier.prepareAll([options.targets[use.index]!])
    }
    await careful.write(batch.rows, from, batch.rows.count, options)
  }

  /** Those of shapes that this session has not seen, where they are followed; in the order in which they come. */
  #freshOf({ tables }: RowBatch, uses: readonly Use[]): Use[] {
    if (this.#options.evolution === undefined) return []
    return uses.filter(({ index }) => this.#targets.of(tables[index]!) === undefined).sort((a, b) => a.first - b.first)
  }

  async #reject<Tables extends object>(
    batch: Batch<Tables>,
    index: number,
    targets: readonly Target[],
    cause: TailraceError,
  ): Promise<Rejected> {
    const to = targets[batch.rows.heads[index * HEAD + HEAD_TABLE]!]!
    const outcome = await rejectRecord(this.session, this.#options, batch, index, to, cause)
    if (outcome === 'aside') this.#aside.push(serverText(cause))
    return outcome
  }

  /** In the open transaction: it may be one that cannot be tried again. */
  async #buildKeysOf(targets: readonly Target[]): Promise<void> {
    for (const target of targets) {
      if (target !== undefined) await this.#options.pendingKeys.build(this.session, target.target)
    }
  }
}

function saysItRepeats(position: Position): boolean {
  return position instanceof StreamPosition && position.repeats && !position.beginsAnew
}
