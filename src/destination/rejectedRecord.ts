import { encodeNdjson } from '../codec/ndjson.js'
import { ROW_REJECTED } from '../core/destinationErrors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from '../source/batch.js'
import { rejectionOf } from './blame.js'
import type { Rejected } from './carefulWriter.js'
import type { Checkpoint } from './checkpoint.js'
import type { Evolution } from './evolution.js'
import { dropNotNull } from './evolve.js'
import { serverText } from './failure.js'
import { refusedNull } from './refusedNull.js'
import type { Target } from './target.js'

export interface RejectionPolicy {
  readonly checkpoint: Checkpoint
  readonly deadLetters: boolean
  /** Undefined: the target's tables are not altered. */
  readonly evolution: Evolution | undefined
}

/**
 * What becomes of a record that the target rejects, in the open transaction: the target follows the source, so that it can be written
 * again; or it is put aside; or this rejects with ROW_REJECTED.
 */
export async function rejectRecord<Tables extends object>(
  session: Session,
  { checkpoint, deadLetters, evolution }: RejectionPolicy,
  batch: Batch<Tables>,
  index: number,
  to: Target,
  cause: TailraceError,
): Promise<Rejected> {
  const { target } = to
  const nullColumn = refusedNull(batch.rows, index, to, cause)
  if (nullColumn !== undefined && (await evolution?.followNull(session, to.table, nullColumn))) return 'again'
  const record = batch.at(index)!
  if (deadLetters) {
    const line = encodeNdjson(batch.rows.part(index, index + 1))
      .toString()
      .trimEnd()
    await checkpoint.addDeadLetter(session, {
      ...{ id: record.id, target, sqlstate: sqlstateOf(cause), problem: serverText(cause) },
      record: line,
    })
    return 'aside'
  }
  const key = 'key' in record && record.key !== undefined ? keyText(record.key) : ''
  const facts = { table: target, operation: record.operation, key, id: record.id }
  const rejection = await rejectionOf(session, cause, to.facts)
  const mend = nullColumn && `The source takes NULL there: ${dropNotNull(target, nullColumn)};`
  throw ROW_REJECTED({ ...facts, ...rejection, hint: rejection.hint ?? mend }, { cause })
}

/** `id=5, code=abc`. */
function keyText(key: Readonly<Record<string, unknown>>): string {
  const text = (value: unknown) => (value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value)
  return Object.entries(key)
    .map(([name, value]) => `${name}=${text(value)}`)
    .join(', ')
}
