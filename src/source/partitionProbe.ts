import { boundOf, hasAlteredColumns, hasRows, hasRowsFrom, type Leaf } from '../postgres/catalog/partitionTrees.js'
import { sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Connections } from './connections.js'

/** A migration's lock is not waited for long: the next look comes. */
const LOCK_TIMEOUT = "SET lock_timeout = '1s'"
/** More than so many are not looked at one by one. */
const MAX_BOUNDS = 8
const ROWS_OF = /^tableoid = ANY \('\{([0-9,]+)\}'::pg_catalog\.oid\[\]\)$/
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
    return { leaves, where: whereOf(leaves) }
  })
}

/**
 * All rows of the partitions, those too that the stream has brought since: what an UPDATE left out of a row from before
 * (TOAST) stands nowhere else, and no xid tells an inserted row from an updated one. Names no column: it stands in positions,
 * and columns are renamed.
 */
export function whereOf(leaves: readonly Pick<Leaf, 'oid'>[]): string {
  return `tableoid = ANY ('{${leaves.map(({ oid }) => oid).join(',')}}'::pg_catalog.oid[])`
}

/** The same rows as those of `where`: if that is of partitions, with their bounds as they are now, which spare the others. */
export async function withBounds(queryable: Queryable, where: string | undefined): Promise<string | undefined> {
  const oids = ROWS_OF.exec(where ?? '')?.[1]?.split(',') ?? []
  if (oids.length === 0 || oids.length > MAX_BOUNDS) return where
  const bounds: string[] = []
  for (const oid of oids) {
    const bound = await boundOf(queryable, Number(oid))
    if (bound === undefined) return where
    bounds.push(`(${bound})`)
  }
  return `${where} AND (${bounds.join(' OR ')})`
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
