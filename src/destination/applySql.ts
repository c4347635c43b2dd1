import { quoteIdentifier } from '../postgres/identifier.js'
import type { Target } from './target.js'
import type { TargetColumn } from './targetTable.js'

/**
 * The staging tables of a target: `rows` has whole rows, `updates` those whose keys the target should have, `gaps` rows with
 * missing columns, `keys` those to delete.
 */
export type Stage = 'rows' | 'updates' | 'gaps' | 'keys'

/** What stands in `gaps` beside the row: a name that no column has is not to be found, so they are numbered. */
export interface GapColumns {
  readonly moved: string
  readonly missing: string
  /** The key of the row that has the missing values. */
  readonly base: readonly string[]
}

/**
 * Stand around statements that join staging tables to targets: each row is found by the key's index. What nobody has analyzed the
 * planner takes for large, and reads all of a target of up to millions for it: 310 ms for 12,000 keys of a million rows, 38 by the
 * index; and that costs no more (16 and 15 ms) where half of a small table is deleted. Triggers that these statements fire have it, too.
 */
export const BY_INDEX = 'SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off'
export const AS_PLANNED = 'SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT'

/** Every statement that writes one target, over staging tables of the session. */
export class ApplySql {
  readonly #target: Target
  readonly #number: number
  readonly gaps: GapColumns

  /** `number` tells the staging tables of a session apart. */
  constructor(target: Target, number: number) {
    this.#target = target
    this.#number = number
    const taken = new Set(target.columns.map(({ name }) => name))
    const free = (wanted: string) => {
      let name = wanted
      while (taken.has(name)) name += '_'
      return quoteIdentifier(name)
    }
    this.gaps = {
      moved: free('tailrace_moved'),
      missing: free('tailrace_missing'),
      base: target.key.map((_, i) => free(`tailrace_base_${i}`)),
    }
  }

  /** The column that says since when a row is gone; undefined: none does, it is deleted. */
  get marker(): string | undefined {
    return markerOf(this.#target)
  }

  create(stage: Stage): string {
    const { columns, keyColumns } = this.#target
    const defined = (column: TargetColumn) => `${quoteIdentifier(column.name)} ${column.stagingType}`
    const definitions =
      stage === 'rows' || stage === 'updates'
        ? columns.map(defined)
        : stage === 'keys'
          ? keyColumns.map(defined)
          : [
              `${this.gaps.moved} pg_catalog.bool`,
              `${this.gaps.missing} pg_catalog.int2[]`,
              ...this.gaps.base.map((name, i) => `${name} ${keyColumns[i]!.stagingType}`),
              ...columns.map(defined),
            ]
    return `CREATE TEMPORARY TABLE ${this.#bare(stage)} (${definitions.join(', ')}) ON COMMIT DELETE ROWS`
  }

  empty(stage: Stage): string {
    return `TRUNCATE ${this.#stage(stage)}`
  }

  copy(stage: Stage): string {
    return `COPY ${this.#stage(stage)} FROM STDIN`
  }

  /** Rows right into the target. */
  copyDirectly(): string {
    const { columns, mode } = this.#target
    const names = [...columns, ...(mode.kind === 'history' ? mode.added : [])].map(({ name }) => quoteIdentifier(name))
    return `COPY ${this.#target.target} (${names.join(', ')}) FROM STDIN`
  }

  /** Gives the number of rows filled, as `count`; fails with a division by zero if it is not `required`. */
  fill(required?: number): string {
    return this.#counted(this.#fillFrom(this.#matches(this.gaps.base)), required)
  }

  /** The same of rows that {@link fill} left, from what has their own key already: they were written before. */
  fillAgain(): string {
    return this.#counted(this.#fillFrom(`s.${this.gaps.missing} <> '{}' AND ${this.#matches()}`), undefined)
  }

  /** Forgets the rows that are still not filled. Gives their number, like {@link fill}. */
  forgetUnfilled(): string {
    const { moved, missing } = this.gaps
    return this.#counted(`DELETE FROM ${this.#stage('gaps')} AS s WHERE s.${moved} AND s.${missing} <> '{}'`, undefined)
  }

  #fillFrom(condition: string): string {
    const set = [...this.#settable('gaps').map(this.#setOrKeep), `${this.gaps.missing} = '{}'`]
    return `UPDATE ${this.#stage('gaps')} AS s SET ${set.join(', ')} FROM ${this.#read} AS t
        WHERE s.${this.gaps.moved} AND ${condition}`
  }

  /** Rows with missing columns that stayed where they were. Gives their number, like {@link fill}. */
  update(required?: number): string {
    const set = this.#settable('target').map(this.#setOrKeep)
    return this.#counted(
      `UPDATE ${this.#read} AS t SET ${set.join(', ')} FROM ${this.#stage('gaps')} AS s
        WHERE NOT s.${this.gaps.moved} AND ${this.#matches(this.gaps.base)}`,
      required,
    )
  }

  delete(): string {
    const { marker } = this
    if (marker === undefined) return this.#deleteUsing('keys', '')
    return `UPDATE ${this.#read} AS t SET ${marker} = pg_catalog.now() FROM ${this.#stage('keys')} AS s
      WHERE ${this.#matches()} AND t.${marker} IS NULL`
  }

  /** What stands where a row is to be written, of a target that {@link Target.replaces}. */
  makeWay(stage: 'rows' | 'gaps'): string {
    return this.#deleteUsing(stage, this.#onlyMoved(stage, 's.'))
  }

  /** Whether {@link overwrite} does for rows that are there what {@link upsert} does, in whatever order they are written. */
  get canOverwrite(): boolean {
    const { byBytes, facts, hasArbiter, isIndexed, replaces } = this.#target
    const isFree = hasArbiter && !replaces && !facts.references.includes(facts.oid)
    return byBytes && isIndexed && isFree && this.#overwritten('s').length > 0
  }

  /** Overwrites the rows with the keys of `updates`, and fails where one of them is not there, as {@link fill} does. */
  overwrite(required: number): string {
    return this.#counted(
      `UPDATE ${this.#read} AS t SET ${this.#overwritten('s').join(', ')} FROM ${this.#stage('updates')} AS s WHERE ${this.#matches()}`,
      required,
    )
  }

  /** Inserts or overwrites the rows of `rows`, or the moved ones of `gaps`. */
  upsert(stage: 'rows' | 'gaps'): string[] {
    const { hasArbiter, replaces } = this.#target
    const into = this.#insert(
      `SELECT ${this.#names('s.')} FROM ${this.#stage(stage)} AS s WHERE true${this.#onlyMoved(stage, 's.')}`,
    )
    if (replaces) return [into]
    if (hasArbiter) return [`${into}${this.#orOverwrite}`]
    const set = this.#overwritten('s')
    const update = `UPDATE ${this.#read} AS t SET ${set.join(', ')} FROM ${this.#stage(stage)} AS s
      WHERE ${this.#matches()}${this.#onlyMoved(stage, 's.')}`
    const insert = `${into} AND NOT EXISTS (SELECT FROM ${this.#read} AS t WHERE ${this.#matches()})`
    return set.length === 0 ? [insert] : [update, insert]
  }

  /** Rows given as lists of SQL constants, of a target that has an arbiter; `overwrite`: where a row has the key already. */
  insertValues(rows: readonly string[], overwrite: boolean): string {
    return `${this.#insert(`VALUES ${rows.join(', ')}`)}${overwrite ? this.#orOverwrite : ''}`
  }

  /** Rows with these keys, each as SQL constants. */
  deleteValues(keys: readonly (readonly string[])[]): string {
    const condition = keys.map((key) => this.#hasKey(key)).join(' OR ')
    const { marker } = this
    if (marker === undefined) return `DELETE FROM ${this.#read} AS t WHERE ${condition}`
    return `UPDATE ${this.#read} AS t SET ${marker} = pg_catalog.now() WHERE (${condition}) AND t.${marker} IS NULL`
  }

  /** Sets columns, by their index among the target's, of the row with a key, and fails where there is none. */
  updateValues(key: readonly string[], values: ReadonlyMap<number, string>): string {
    const { columns } = this.#target
    const settable = this.#settable('target')
    const set = [...values]
      .filter(([index]) => settable.includes(columns[index]!))
      .map(([index, value]) => `${quoteIdentifier(columns[index]!.name)} = ${value}`)
    // Nothing but the key was sent: that the row is there is told all the same.
    const [first] = this.#target.keyColumns
    if (set.length === 0) set.push(`${quoteIdentifier(first!.name)} = t.${quoteIdentifier(first!.name)}`)
    return this.#counted(`UPDATE ${this.#read} AS t SET ${set.join(', ')} WHERE ${this.#hasKey(key)}`, 1)
  }

  #hasKey(key: readonly string[]): string {
    const { keyColumns } = this.#target
    return `(${keyColumns.map(({ name, equals }, i) => `t.${quoteIdentifier(name)} ${equals} ${key[i]}`).join(' AND ')})`
  }

  #insert(source: string): string {
    return `INSERT INTO ${this.#target.target} AS t (${this.#names()})${this.#overriding} ${source}`
  }

  get #orOverwrite(): string {
    const key = this.#target.keyColumns.map(({ name }) => quoteIdentifier(name)).join(', ')
    const set = this.#overwritten('EXCLUDED')
    return ` ON CONFLICT (${key}) DO ${set.length === 0 ? 'NOTHING' : `UPDATE SET ${set.join(', ')}`}`
  }

  /** What a row that is there already gets from the new one; marked as deleted it is there still, with its key perhaps in another text. */
  #overwritten(from: string): string[] {
    const { columns, byBytes } = this.#target
    const { marker } = this
    const isWhole = marker !== undefined && !byBytes
    const settable = isWhole ? columns.filter(({ identity }) => identity !== 'always') : this.#settable('target')
    const set = settable.map(({ name }) => `${quoteIdentifier(name)} = ${from}.${quoteIdentifier(name)}`)
    return marker === undefined ? set : [...set, `${marker} = NULL`]
  }

  #deleteUsing(stage: Stage, condition: string): string {
    return `DELETE FROM ${this.#read} AS t USING ${this.#stage(stage)} AS s WHERE ${this.#matches()}${condition}`
  }

  #onlyMoved(stage: Stage, prefix: string): string {
    return stage === 'gaps' ? ` AND ${prefix}${this.gaps.moved}` : ''
  }

  /** The target's row with the key of staging's, which stands there in the columns `names`. */
  #matches(names?: readonly string[]): string {
    return this.#target.keyColumns
      .map(({ name, equals }, i) => {
        const own = quoteIdentifier(name)
        return `t.${own} ${equals} s.${names?.[i] ?? own}`
      })
      .join(' AND ')
  }

  /** Columns that an UPDATE may set; the key's stay as they are. */
  #settable(of: 'target' | 'gaps'): TargetColumn[] {
    const { columns, keyColumns } = this.#target
    return columns.filter((one) => !keyColumns.includes(one) && (of === 'gaps' || one.identity !== 'always'))
  }

  /** A CASE hands a TOASTed value on as it is stored, so that keeping it writes nothing. */
  readonly #setOrKeep = (column: TargetColumn): string => {
    const name = quoteIdentifier(column.name)
    const index = this.#target.columns.indexOf(column)
    return `${name} = CASE WHEN ${index} = ANY (s.${this.gaps.missing}) THEN t.${name} ELSE s.${name} END`
  }

  #counted(statement: string, required: number | undefined): string {
    const count = 'pg_catalog.count(*)'
    const given = required === undefined ? `${count}::pg_catalog.int4` : `1 / (${count} = ${required})::pg_catalog.int4`
    return `WITH written AS (${statement} RETURNING 1) SELECT ${given} AS count FROM written`
  }

  #names(prefix = ''): string {
    return this.#target.columns.map(({ name }) => `${prefix}${quoteIdentifier(name)}`).join(', ')
  }

  get #read(): string {
    return onlyIt(this.#target)
  }

  get #overriding(): string {
    const has = this.#target.columns.some(({ identity }) => identity !== undefined)
    return has ? ' OVERRIDING SYSTEM VALUE' : ''
  }

  #stage(stage: Stage): string {
    return `pg_temp.${this.#bare(stage)}`
  }

  #bare(stage: Stage): string {
    return `tailrace_${stage}_${this.#number}`
  }
}

function markerOf({ mode }: Target): string | undefined {
  return mode.kind === 'soft' ? quoteIdentifier(mode.added[0].name) : undefined
}

/** Instead of a TRUNCATE. */
export function markAllSql(target: Target): string {
  const marker = markerOf(target)
  return `UPDATE ${onlyIt(target)} SET ${marker} = pg_catalog.now() WHERE ${marker} IS NULL`
}

/** The table without those that inherit from it, whose rows are not its own. */
export function onlyIt({ facts, target }: Target): string {
  return facts.partitioned ? target : `ONLY ${target}`
}
