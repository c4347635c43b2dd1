import type { Queryable } from '../queryable.js'

/** Which servers will do ("target_session_attrs" in the PostgreSQL docs). */
export const TARGET_SESSIONS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const
export type TargetSession = (typeof TARGET_SESSIONS)[number]

/** What is asked for in each round over the hosts. */
export function roundsOf(target: TargetSession): readonly Exclude<TargetSession, 'prefer-standby'>[] {
  return target === 'prefer-standby' ? ['standby', 'any'] : [target]
}

/** Why the session's server will not do; undefined when it does. In words that both kinds of session understand. */
export async function misfit(queryable: Queryable, target: TargetSession): Promise<string | undefined> {
  switch (target) {
    case 'read-write':
      return (await isReadOnly(queryable)) ? 'its sessions are read-only' : undefined
    case 'read-only':
      return (await isReadOnly(queryable)) ? undefined : 'its sessions are not read-only'
    case 'primary':
      return (await isStandby(queryable)) ? 'it is a standby' : undefined
    case 'standby':
      return (await isStandby(queryable)) ? undefined : 'it is not a standby'
    default:
      return undefined
  }
}

async function isReadOnly(queryable: Queryable): Promise<boolean> {
  const [row] = await queryable.query<{ transaction_read_only: string }>('SHOW transaction_read_only')
  return row!.transaction_read_only === 'on'
}

/** A replication session gives text for every type. */
async function isStandby(queryable: Queryable): Promise<boolean> {
  const [row] = await queryable.query<{ standby: string }>('SELECT pg_catalog.pg_is_in_recovery()::text AS standby')
  return row!.standby === 'true'
}
