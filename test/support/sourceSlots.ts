import { formatLsn, parseLsn, readLsn } from '../../src/postgres/lsn.js'
import type { TestDatabase } from './database.js'

/** Where the slot stands; undefined when there is none of that name. */
export async function confirmedLsn(db: TestDatabase, slot: string): Promise<string | undefined> {
  const [row] = await db.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
  return row === undefined ? undefined : formatLsn(parseLsn(row.lsn)!)
}

export async function slotsOf(db: TestDatabase): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    'SELECT slot_name AS name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1',
  )
  return rows.map(({ name }) => name)
}

export async function publicationsOf(db: TestDatabase): Promise<string[]> {
  const rows = await db.query<{ name: string }>('SELECT pubname AS name FROM pg_publication ORDER BY 1')
  return rows.map(({ name }) => name)
}

/** Where a commit record begins and ends. */
export interface CommitLsns {
  readonly lsn: string
  readonly end: string
}

/** What the server itself says of each commit for a slot of the test's own. */
export async function commitsOf(db: TestDatabase, slot: string, publication: string): Promise<CommitLsns[]> {
  const rows = await db.query<{ data: Buffer }>(
    `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)`,
    [slot, publication],
  )
  return rows
    .filter(({ data }) => data[0] === 0x43) // 'C'
    .map(({ data }) => ({ lsn: formatLsn(readLsn(data, 2)), end: formatLsn(readLsn(data, 10)) }))
}
