import { quoteLiteral } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { sqlstateOf } from '../postgres/serverError.js'

/** The server looks so often whether we are still there, also while it waits for a lock. */
const CHECK_MS = 500
/** So long a writer that is gone may be at work. */
const WAIT_MS = 5000
const LOCK_NOT_AVAILABLE = '55P03'
const NAMES = 'tailrace writer '

/**
 * Waits for what a writer of this name that was killed has sent: written later it would stand above what comes now. The
 * session is the one of that name then. False: somebody is at work under it who is not gone.
 */
export async function becomeTheWriter(queryable: Queryable, name: string): Promise<boolean> {
  try {
    await queryable.query(`SET client_connection_check_interval = ${CHECK_MS}`)
  } catch {
    // Not on every system: then a writer that is gone is at work until it is done.
  }
  try {
    await queryable.query(`SET lock_timeout = ${WAIT_MS}`)
    await queryable.query(
      `SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(${quoteLiteral(NAMES + name)}, 0))`,
    )
    return true
  } catch (error) {
    if (sqlstateOf(error) === LOCK_NOT_AVAILABLE) return false
    throw error
  } finally {
    await queryable.query('SET lock_timeout = 0').catch(() => {})
  }
}
