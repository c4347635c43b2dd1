import { boundOf, hasAlteredColumns, hasRows, hasRowsFrom, type Leaf } from '../postgres/catalog/partitionTrees.js'
import { sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Connections } from './connections.js'

/** A migration's lock is not waited for long: the next look comes. */
const LOCK_TIMEOUT = "SET lock_timeout = '1s'"
/** More than so many, or so much text, stands in no position. */
const MAX_BOUNDS = 8
const MAX_BOUND_LENGTH = 1000
const INSUFFICIENT_PRIVILEGE = '42501'

export interface Filled {
  readonly leaves: readonly Leaf[]
  /** Their rows among those of their root, as SQL. */
  readonly where: string
}

/** Of partitions that were attached those that have rows; undefined: none. */
export async function filledLeaves(connections: Connections, attached: readonly Leaf[]): Promise<Filled | undefined> {
  if (attached.length === 0) return undefined
  return asking(connections, async (session) => {
    const leaves: Leaf[] = []
    for (const leaf of attached) if (await permitted(hasRows(session, sqlName(leaf)), true)) leaves.push(leaf)
    if (leaves.length === 0) return undefined
    const bounds: (string | undefined)[] = []
    if (leaves.length <= MAX_BOUNDS) for (const { oid } of leaves) bounds.push(await boundOf(session, oid))
    return { leaves, where: whereOf(leaves, bounds) }
  })
}

/**
 * All rows of the partitions, those too that the stream has brought since: what an UPDATE left out of a row from before
 * (TOAST) stands nowhere else, and no xid tells an inserted row from an updated one. The bounds spare the other partitions.
 */
export function whereOf(leaves: readonly Pick<Leaf, 'oid'>[], bounds: readonly (string | undefined)[]): string {
  const where = `tableoid = ANY ('{${leaves.map(({ oid }) => oid).join(',')}}'::pg_catalog.oid[])`
  const among = bounds.map((bound) => `(${bound})`).join(' OR ')
  const helps = bounds.length === leaves.length && !bounds.includes(undefined) && among.length <= MAX_BOUND_LENGTH
  return helps ? `${where} AND (${among})` : where
}

/**
 * Of leaves that have another file since `horizon` those that were truncated. VACUUM FULL, CLUSTER and a move to another
 * tablespace keep the rows as they are; what writes them anew (ALTER TABLE) alters a column.
 */
export async function truncatedLeaves(
  connections: Connections,
  refiled: readonly Leaf[],
  horizon: bigint,
): Promise<readonly Leaf[]> {
  if (refiled.length === 0) return []
  return asking(connections, async (session) => {
    const truncated: Leaf[] = []
    for (const leaf of refiled) {
      const name = sqlName(leaf)
      if (await permitted(hasRowsFrom(session, name, horizon), false)) continue
      const rewritten = await hasAlteredColumns(session, leaf.oid, horizon)
      if (!rewritten || !(await permitted(hasRows(session, name), true))) truncated.push(leaf)
    }
    return truncated
  })
}

/** On a session of its own: the control session waits for no lock. */
async function asking<T>(connections: Connections, work: (queryable: Queryable) => Promise<T>): Promise<T> {
  const session = await connections.ordinary()
  try {
    await session.query(LOCK_TIMEOUT)
    return await work(session)
  } finally {
    await session.close()
  }
}

/** Whoever may read a partitioned table may not always read its partitions by their own names. */
async function permitted(answer: Promise<boolean>, otherwise: boolean): Promise<boolean> {
  try {
    return await answer
  } catch (error) {
    if (sqlstateOf(error) === INSUFFICIENT_PRIVILEGE) return otherwise
    throw error
  }
}
