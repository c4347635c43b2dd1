import { HEAD, HEAD_OPERATION, type RowBatch, TRUNCATE } from '../core/rowBatch.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'

/** So many of a batch were rejected before the others are written one by one. */
const MANY = 8
/**
 * Of so many records at least one is rejected: from there on to send each costs less than to look for them by halves. About
 * 150 on loopback, where a half costs a millisecond and a record of its own 0.1.
 */
const SPARSE = 128
/** Rows of this range are looked at by halves first: how many are rejected further on is not known. */
const MOST_RECORDS = 4096
/** Sent at a time: what stands behind a rejected one is sent again. */
const FIRST_GROUP = 4
const LARGEST_GROUP = 256
const INTEGRITY_CONSTRAINT = /^23/

/** Whether records `from` to `to`, something of which was rejected, had better be written one by one. */
export function isWorthOneByOne({ heads }: RowBatch, from: number, to: number, rejected: number): boolean {
  if (to - from === 1 || to - from > MOST_RECORDS || rejected < MANY || rejected * SPARSE < from) return false
  for (let record = from; record < to; record++) {
    // Those of one TRUNCATE belong together.
    if (heads[record * HEAD + HEAD_OPERATION] === TRUNCATE) return false
  }
  return true
}

export interface OneByOne {
  /** Statements that write a record; undefined: it takes more than statements. */
  readonly statementsOf: (record: number) => readonly string[] | undefined
  /** Writes a record in the other way, or finds out what is wrong with it. */
  readonly write: (record: number) => Promise<void>
  readonly reject: (record: number, cause: unknown) => Promise<void>
  /** Whether an error may be of one record. */
  readonly isRejection: (error: unknown) => boolean
}

/**
 * Writes records in order, each under a savepoint of its own, many in one message: behind an error the server leaves out what
 * follows in it, and a setting that each record makes with its rows says how far it came.
 */
export async function writeOneByOne(session: Session, from: number, to: number, how: OneByOne): Promise<void> {
  await session.query('SET LOCAL tailrace.written = -1')
  let size = FIRST_GROUP
  for (let at = from; at < to; ) {
    const sent: string[] = []
    for (let record = at; record < to && sent.length < size; record++) {
      const statements = how.statementsOf(record)
      if (statements === undefined) break
      const written = `SET LOCAL tailrace.written = ${record}`
      sent.push(['SAVEPOINT tailrace', ...statements, written, 'RELEASE SAVEPOINT tailrace'].join(';\n'))
    }
    if (sent.length === 0) {
      await how.write(at++)
      continue
    }
    try {
      await session.query(sent.join(';\n'))
      at += sent.length
      size = Math.min(2 * size, LARGEST_GROUP)
    } catch (error) {
      if (!how.isRejection(error)) throw error
      const [row] = await session.query<{ written: string }>(
        `ROLLBACK TO SAVEPOINT tailrace; RELEASE SAVEPOINT tailrace;
         SELECT pg_catalog.current_setting('tailrace.written') AS written`,
      )
      const failed = Math.max(at, Number(row!.written) + 1)
      // What else is wrong is told better in the other way: with the column, or which row is missing.
      if (INTEGRITY_CONSTRAINT.test(sqlstateOf(error) ?? '')) await how.reject(failed, error)
      else await how.write(failed)
      size = Math.max(FIRST_GROUP, failed - at + 1)
      at = failed + 1
    }
  }
}
