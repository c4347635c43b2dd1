import { describeSeconds } from '../core/quantity.js'
import { sqlName } from './identifier.js'
import type { Queryable } from './queryable.js'

/** What a session of ours does on the server. */
export interface SessionState {
  readonly pid: number
  /** `active`, `idle`, `idle in transaction`, … */
  readonly state: string | undefined
  /** `type/event`; undefined: it waits for nothing. */
  readonly waitEvent: string | undefined
  /** What it waits for, as `AccessShareLock on public.orders`. */
  readonly lock: string | undefined
  /** Who has it or is before us, as `pid 4711 (psql, idle in transaction for 80 s)`. Never what they run: statements have values. */
  readonly blockers: readonly string[]
}

interface Row {
  readonly pid: number
  readonly state: string | null
  readonly wait_event: string | null
  readonly mode: string | null
  readonly schema: string | null
  readonly name: string | null
  readonly blocker: number | null
  readonly application: string | null
  readonly blocker_state: string | null
  readonly seconds: number | null
}

// pg_blocking_pids stops the whole lock table for a moment: it is asked only for those who wait.
const STATES = `
SELECT a.pid, a.state, a.wait_event_type || '/' || a.wait_event AS wait_event,
       l.mode, n.nspname AS schema, c.relname AS name,
       b.pid AS blocker, o.application_name AS application, o.state AS blocker_state,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - o.state_change)::pg_catalog.float8 AS seconds
  FROM pg_catalog.pg_stat_activity a
  LEFT JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND NOT l.granted
  LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(l.pid)) AS b (pid) ON true
  LEFT JOIN pg_catalog.pg_stat_activity o ON o.pid = b.pid
 WHERE a.pid = ANY ($1::pg_catalog.int4[])
 ORDER BY a.pid, b.pid`

/** What these sessions of ours do, and who is in their way. */
export async function sessionStates(queryable: Queryable, pids: readonly number[]): Promise<SessionState[]> {
  const states = new Map<number, SessionState & { readonly blockers: string[] }>()
  for (const row of await queryable.query<Row>(STATES, [pids])) {
    const state = states.get(row.pid) ?? {
      pid: row.pid,
      state: row.state ?? undefined,
      waitEvent: row.wait_event ?? undefined,
      lock: lockOf(row),
      blockers: [],
    }
    states.set(row.pid, state)
    if (row.blocker !== null) state.blockers.push(describeBlocker(row))
  }
  return [...states.values()]
}

function lockOf({ mode, schema, name }: Row): string | undefined {
  if (mode === null) return undefined
  return schema === null || name === null ? mode : `${mode} on ${sqlName({ schema, name })}`
}

function describeBlocker({ blocker, application, blocker_state: state, seconds }: Row): string {
  // Of a prepared transaction, which no process holds.
  if (blocker === 0) return 'a prepared transaction'
  const known = [
    application,
    state === null || seconds === null ? undefined : `${state} for ${describeSeconds(seconds)}`,
  ]
  const facts = known.filter((fact) => fact)
  return `pid ${blocker}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`
}
