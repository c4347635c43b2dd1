import { randomBytes } from 'node:crypto'
import type { Queryable } from './queryable.js'
import { sqlstateOf } from './serverError.js'

/** From here on the walsender notices by itself that a partition was attached or detached. */
export const NOTICES_ATTACHMENTS = 150000
const INSUFFICIENT_PRIVILEGE = '42501'

/**
 * Has walsenders look anew at how partitions are published. Before version 15 they go on judging one whose changes they
 * have met before as they did then: changes of a partition that was attached since are never sent. What they know is
 * forgotten when any publication changes, where that stands in the WAL; nobody sees this one, which has no tables.
 * False: our role may not (it needs CREATE on the database).
 */
export async function renewPublishedPartitions(queryable: Queryable, serverVersion: number): Promise<boolean> {
  if (serverVersion >= NOTICES_ATTACHMENTS) return true
  const name = `tailrace_tmp_0_${randomBytes(4).toString('hex')}`
  try {
    await queryable.query(`CREATE PUBLICATION ${name}; DROP PUBLICATION ${name}`)
    return true
  } catch (error) {
    if (sqlstateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error
    return false
  }
}
