import { ROW_INCOMPLETE } from '../core/destinationErrors.js'
import type { RowBatch } from '../core/rowBatch.js'
import { copyIn } from '../postgres/copy/copyIn.js'
import type { ScriptPart } from '../postgres/copy/script.js'
import type { Session } from '../postgres/session.js'
import { ApplySql, AS_PLANNED, BY_INDEX, markAllSql, onlyIt, type Stage } from './applySql.js'
import { stageHistory } from './history.js'
import { type Staged, stageFold, stageLines, stageRecords } from './staging.js'
import type { Folded, LinesStep, Step, TruncateStep } from './steps.js'
import { byReferences, type Target } from './target.js'

const STAGES: readonly Stage[] = ['rows', 'updates', 'gaps', 'keys']

interface Work extends Folded {
  readonly facts: Target['facts']
  readonly sql: ApplySql
  readonly staged: Staged
}

/** A step as the text and statements that apply it. */
export type LoadedStep = TruncateStep | { readonly copies: readonly Copy[]; readonly works: readonly Work[] }

interface Copy {
  readonly sql: string
  readonly rows: readonly Uint8Array[]
}

/** Hears how many updates found no row at a target that has what they left out. */
export type OnMissing = (target: Target, count: number) => void

/** Applies steps in the open transaction of one session, whose staging tables it has. */
export class Applier {
  readonly #session: Session
  readonly #onMissing: OnMissing | undefined
  readonly #sql = new Map<Target, ApplySql>()
  readonly #created = new Set<string>()
  /** Staging tables that have rows of an earlier step of the transaction. */
  readonly #used = new Set<string>()

  /**
   * With `onMissing`, {@link apply} writes what was written before, in part or whole, and leaves out an update whose row is
   * not there; else that is `ROW_INCOMPLETE`.
   */
  constructor(session: Session, onMissing?: OnMissing) {
    this.#session = session
    this.#onMissing = onMissing
  }

  /**
   * Everything of a step that needs no server. With `overwrites`, for {@link script}: whoever sends that has another way for rows
   * that are not there although an update says so. An UPDATE writes half the WAL of INSERT … ON CONFLICT, which locks each row first.
   */
  load(batch: RowBatch, step: Step, overwrites = false): LoadedStep {
    if ('truncated' in step) return step
    const appends = byReferences(step.appends.map((one) => ({ ...one, facts: one.target.facts })))
    const works = step.folds.map(({ target, fold }): Work => {
      const sql = this.sqlOf(target)
      const staged = stageFold(fold, target, overwrites && sql.canOverwrite)
      return { target, fold, facts: target.facts, sql, staged }
    })
    return {
      copies: appends.map(({ target, records }) => {
        const stage = target.mode.kind === 'history' ? stageHistory : stageRecords
        return { sql: this.sqlOf(target).copyDirectly(), rows: stage(batch, records, target).take() }
      }),
      works: byReferences(works),
    }
  }

  /** The same of a whole batch of lines. */
  loadLines(step: LinesStep): LoadedStep {
    return { copies: this.#copiesOf(step), works: [] }
  }

  /** The same, to be sent by whoever has begun a transaction for it. */
  scriptOfLines(step: LinesStep): ScriptPart[] {
    return this.#copiesOf(step).map(({ sql, rows }) => ({ copy: sql, rows }))
  }

  #copiesOf({ appended }: LinesStep): Copy[] {
    const ordered = byReferences(appended.map((one) => ({ ...one, facts: one.target.facts })))
    return ordered.map(({ target, lines }) => {
      return { sql: this.sqlOf(target).copyDirectly(), rows: stageLines(lines, target) }
    })
  }

  /** Makes the staging tables that a step needs; outside a transaction, whose end could take them away again. */
  async prepare(step: LoadedStep): Promise<void> {
    if ('truncated' in step) return
    for (const { target, staged } of step.works) {
      for (const stage of STAGES) if (rowsOf(staged, stage) > 0) await this.#create(target, stage)
    }
  }

  /** Whether that was done. */
  isPrepared(step: LoadedStep): boolean {
    if ('truncated' in step) return true
    return step.works.every(({ sql, staged }) =>
      STAGES.every((stage) => rowsOf(staged, stage) === 0 || this.#created.has(sql.create(stage))),
    )
  }

  /** The same for whatever may come of rows of these targets. */
  async prepareAll(targets: Iterable<Target>): Promise<void> {
    for (const target of targets) {
      if (target.key.length === 0) continue
      for (const stage of STAGES) if (stage !== 'updates') await this.#create(target, stage)
    }
  }

  /** A transaction begins: the staging tables are empty. */
  begin(): void {
    this.#used.clear()
  }

  /** The same as {@link apply} of each, to be sent as a whole in a transaction of its own. */
  script(steps: readonly LoadedStep[]): ScriptPart[] {
    const parts: ScriptPart[] = []
    const used = new Set<string>()
    for (const step of steps) {
      if ('truncated' in step) parts.push(truncateSql(step))
      else parts.push(...scriptOf(step, used))
    }
    return parts
  }

  async apply(step: LoadedStep): Promise<void> {
    if ('truncated' in step) await this.#session.query(truncateSql(step))
    else await this.#write(step)
  }

  async #write({ copies, works }: Exclude<LoadedStep, TruncateStep>): Promise<void> {
    for (const { sql, rows } of copies) await copyIn(this.#session, sql, rows)
    for (const work of works) await this.#stage(work)
    const { before, behind } = aroundJoins(works)
    await this.#run(before)
    for (const work of works) await this.#fill(work)
    await this.#run([...works].reverse().flatMap(deletes))
    for (const work of works) await this.#count(work.staged.updatedRows, work.sql.update(), work.target)
    await this.#run([...works.flatMap(upserts), ...behind])
  }

  async #stage({ sql, staged }: Work): Promise<void> {
    for (const stage of STAGES) {
      if (rowsOf(staged, stage) === 0) continue
      const copy = sql.copy(stage)
      if (this.#used.has(copy)) await this.#session.query(sql.empty(stage))
      this.#used.add(copy)
      await copyIn(this.#session, copy, staged[stage].take())
    }
  }

  async #create(target: Target, stage: Stage): Promise<void> {
    const create = this.sqlOf(target).create(stage)
    if (this.#created.has(create)) return
    await this.#session.query(create)
    this.#created.add(create)
  }

  async #fill({ staged, sql, target }: Work): Promise<void> {
    if (this.#onMissing === undefined) return this.#count(staged.movedRows, sql.fill(), target)
    if (staged.movedRows === 0 || (await this.#countOf(sql.fill())) === staged.movedRows) return
    await this.#countOf(sql.fillAgain())
    const missing = await this.#countOf(sql.forgetUnfilled())
    if (missing > 0) this.#onMissing(target, missing)
  }

  /** As many rows as there should be. */
  async #count(expected: number, sql: string, target: Target): Promise<void> {
    if (expected === 0) return
    const missing = expected - (await this.#countOf(sql))
    if (missing <= 0) return
    if (this.#onMissing === undefined) throw ROW_INCOMPLETE({ table: target.target, count: missing })
    this.#onMissing(target, missing)
  }

  async #countOf(sql: string): Promise<number> {
    const [row] = await this.#session.query<{ count: number }>(sql)
    return row!.count
  }

  async #run(statements: readonly string[]): Promise<void> {
    if (statements.length > 0) await this.#session.query(statements.join(';\n'))
  }

  /** The statements that write a target. */
  sqlOf(target: Target): ApplySql {
    let sql = this.#sql.get(target)
    if (sql === undefined) {
      sql = new ApplySql(target, this.#sql.size)
      this.#sql.set(target, sql)
    }
    return sql
  }
}

function truncateSql({ truncated, restartIdentity }: TruncateStep): string {
  if (truncated.some(({ mode }) => mode.kind === 'soft')) return truncated.map(markAllSql).join(';\n')
  return `TRUNCATE ${truncated.map(onlyIt).join(', ')}${restartIdentity ? ' RESTART IDENTITY' : ''}`
}

/** `used`: staging tables that have rows of an earlier step. */
function scriptOf({ copies, works }: Exclude<LoadedStep, TruncateStep>, used: Set<string>): ScriptPart[] {
  const parts: ScriptPart[] = copies.map(({ sql, rows }) => ({ copy: sql, rows }))
  for (const { sql, staged } of works) {
    for (const stage of STAGES) {
      if (rowsOf(staged, stage) === 0) continue
      const copy = sql.copy(stage)
      if (used.has(copy)) parts.push(sql.empty(stage))
      used.add(copy)
      parts.push({ copy, rows: staged[stage].take() })
    }
  }
  const { before, behind } = aroundJoins(works)
  const statements = [
    ...before,
    ...works.flatMap(({ staged, sql }) => (staged.movedRows > 0 ? [sql.fill(staged.movedRows)] : [])),
    ...[...works].reverse().flatMap(deletes),
    ...works.flatMap(({ staged, sql }) => (staged.updatedRows > 0 ? [sql.update(staged.updatedRows)] : [])),
    ...works.flatMap((work) => [...overwrites(work), ...upserts(work)]),
    ...behind,
  ]
  return statements.length === 0 ? parts : [...parts, statements.join(';\n')]
}

/** What stands before and behind the statements that join staging tables to these targets. */
function aroundJoins(works: readonly Work[]): {
  readonly before: readonly string[]
  readonly behind: readonly string[]
} {
  const indexed = works.length > 0 && works.every(({ target }) => target.isIndexed)
  return indexed ? { before: [BY_INDEX], behind: [AS_PLANNED] } : { before: [], behind: [] }
}

function deletes({ sql, staged, target }: Work): string[] {
  return [
    ...(staged.goneKeys > 0 ? [sql.delete()] : []),
    ...(target.replaces && staged.wholeRows > 0 ? [sql.makeWay('rows')] : []),
    ...(target.replaces && staged.movedRows > 0 ? [sql.makeWay('gaps')] : []),
  ]
}

function overwrites({ sql, staged }: Work): string[] {
  return staged.overwrittenRows > 0 ? [sql.overwrite(staged.overwrittenRows)] : []
}

function upserts({ sql, staged }: Work): string[] {
  return [...(staged.wholeRows > 0 ? sql.upsert('rows') : []), ...(staged.movedRows > 0 ? sql.upsert('gaps') : [])]
}

function rowsOf(staged: Staged, stage: Stage): number {
  switch (stage) {
    case 'rows':
      return staged.wholeRows
    case 'updates':
      return staged.overwrittenRows
    case 'gaps':
      return staged.movedRows + staged.updatedRows
    case 'keys':
      return staged.goneKeys
  }
}
