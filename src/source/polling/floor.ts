import type { Queryable } from '../../postgres/queryable.js'
import { setMark } from './mark.js'
import { higherSql, trustedSql } from './pollSql.js'
import type { Mark, TableState } from './pollState.js'
import type { PollTable } from './pollTable.js'

export interface PassEnd {
  /** The last value of the cursor column that the pass read. */
  readonly lastCursor: string | undefined
  /** What was still waited for before the pass began. */
  readonly mark: Mark | undefined
  /** Transactions open after the pass's last snapshot; undefined: not known. */
  readonly open: readonly string[] | undefined
  /** Rows were left for a later pass: nothing may be left below the floor. */
  readonly heldBack: boolean
}

/**
 * The floor behind a pass. It moves to a mark when every transaction that was open when the mark was set had ended
 * before the pass began: none of them can commit a lower value any more, whoever begins later takes no lower one, and
 * what they committed was read in this pass. `queryable` must be in the transaction of the pass's last page.
 */
export async function moveFloor(
  queryable: Queryable,
  { order }: PollTable,
  state: Pick<TableState, 'floor' | 'top'> | undefined,
  { lastCursor, mark, open, heldBack }: PassEnd,
): Promise<Pick<TableState, 'floor' | 'top' | 'mark'>> {
  const [cursor] = order
  const ask = async (sql: string) => (await queryable.query<{ value: string }>(sql))[0]!.value
  const known = state?.top
  const top = lastCursor === undefined ? known : await ask(higherSql(cursor!, known, lastCursor))
  const settled = mark !== undefined && mark.waiting.length === 0 && !heldBack
  const floor = settled ? mark.to : state?.floor
  if (mark !== undefined && !settled) return { floor, top, mark }
  if (top === undefined || open === undefined) return { floor, top, mark: undefined }
  const to = await ask(trustedSql(cursor!, top))
  return { floor, top, mark: to === floor ? undefined : setMark(to, open) }
}
