import { HEAD, HEAD_NEW, HEAD_OPERATION, type RowBatch, TRUNCATE } from '../core/rowBatch.js'
import type { TailraceError } from '../core/tailraceError.js'
import { NULL_COLUMN } from '../core/tape.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Target } from './target.js'

const NOT_NULL_VIOLATION = '23502'

/**
 * The column in which the row of record `index` has NULL, and the target refuses it: the source took it there, whatever its
 * catalog says by now. Undefined where something else is wrong, as in a trigger.
 */
export function refusedNull(
  { heads, tape }: RowBatch,
  index: number,
  { table, facts }: Target,
  cause: TailraceError,
): string | undefined {
  const { column } = cause.details as Partial<Record<string, string>>
  if (sqlstateOf(cause) !== NOT_NULL_VIOLATION || column === undefined) return undefined
  const head = index * HEAD
  const place = table.columns.findIndex(({ name }) => name === column)
  const own = facts.columns.get(column)
  if (heads[head + HEAD_OPERATION]! >= TRUNCATE || heads[head + HEAD_NEW]! < 0 || place < 0 || own === undefined) {
    return undefined
  }
  return own.notNull && tape.values[heads[head + HEAD_NEW]! + 2 * place] === NULL_COLUMN ? column : undefined
}
