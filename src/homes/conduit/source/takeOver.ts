import { POSITION_INVALID } from '../../../core/errors.js'
import { type ServerFacts, serverFacts } from '../../../postgres/catalog/server.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { formatLsn, type Lsn } from '../../../postgres/lsn.js'
import type { Queryable } from '../../../postgres/queryable.js'
import { Session } from '../../../postgres/session.js'
import { inspectSlot } from '../../../postgres/slot.js'
import { BEFORE_ROWS, StreamPosition } from '../../../source/position.js'
import { type TableProgress, unreadTable } from '../../../source/scan/progress.js'
import { PASSED } from '../../../source/scan/stretches.js'
import { drawnEpoch } from '../../../source/slotMark.js'
import { log } from '../plugin/log.js'
import type { ConduitSourceSettings } from '../settings/sourceSettings.js'
import type { GoPosition, GoTableProgress } from './goPosition.js'

/**
 * Where the engine goes on behind a position of Conduit's own connector; undefined: all rows are to be read. Its stream is
 * gone on with where its slot stands, which it confirmed to: not at its LSN, behind which changes may be that it has not
 * seen, since transactions are interleaved. So what it had of the last transactions may come again, and nothing is left
 * out. That the slot is gone is for the engine to tell.
 */
export async function takeOver(go: GoPosition, settings: ConduitSourceSettings): Promise<string | undefined> {
  if (settings.cdcMode === 'long_polling' || go.kind === 'initial') return undefined
  if (go.kind === 'rows' || go.kind === 'key') {
    log('warn', "the position is of a version of Conduit's own connector that read rows alone: all are read once more")
    return undefined
  }
  await using session = await Session.connect(parseConnectionString(settings.url))
  const facts = await serverFacts(session)
  const slotName = settings['logrepl.slotName']
  const slot = await inspectSlot(session, slotName)
  if (go.kind === 'cdc' && go.lsn > facts.insertLsn) {
    const problem = `its last_lsn ${formatLsn(go.lsn)} is beyond the end of the WAL, ${formatLsn(facts.insertLsn)}: it is of another server`
    throw POSITION_INVALID({ problem })
  }
  const lsn = slot?.confirmedFlushLsn ?? (go.kind === 'cdc' ? go.lsn : facts.insertLsn)
  if (go.kind === 'cdc' || settings.snapshotMode === 'never') {
    log('info', `going on behind Conduit's own connector, where its slot ${slotName} stands: ${formatLsn(lsn)}`)
    return positionAt(lsn, facts, slotName, undefined)
  }
  const tables = await begunTables(session, go.tables, formatLsn(lsn))
  log('info', `going on with the snapshot of Conduit's own connector, beside its slot ${slotName} at ${formatLsn(lsn)}`)
  return positionAt(lsn, facts, slotName, tables)
}

function positionAt(
  lsn: Lsn,
  { systemIdentifier, timeline, database }: ServerFacts,
  slot: string,
  tables: readonly TableProgress[] | undefined,
): string {
  const origin = { system: systemIdentifier, timeline, database, slot, epoch: drawnEpoch() }
  const snapshot = tables && { id: formatLsn(lsn), rows: 0, tables }
  const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: lsn, fingerprint: 0, snapshot }
  // Of a snapshot every table that is not among those that were begun is to be read.
  const captured = tables && { captured: [] }
  return new StreamPosition({ ...origin, ...captured }, place).toString()
}

/**
 * What is left to be read of the tables that were begun: what lies behind the last row read, and keys below 1, which that
 * connector never reads. It reads by primary keys of one integer; of a table that has another by now all is read.
 */
async function begunTables(
  session: Queryable,
  progress: ReadonlyMap<string, GoTableProgress>,
  id: string,
): Promise<readonly TableProgress[]> {
  const begun = [...progress].filter(([, { lastRead }]) => lastRead > 0n)
  const rows = await session.query<{ oid: number; schema: string; name: string; key: string }>(
    `SELECT c.oid::pg_catalog.int8 AS oid, n.nspname AS schema, c.relname AS name, a.attname AS key
       FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indnkeyatts = 1
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
      WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname = ANY ($1)
        AND a.atttypid IN ('int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype, 'int8'::pg_catalog.regtype)`,
    [begun.map(([name]) => name)],
  )
  return rows.map(({ oid, schema, name, key }) => {
    const { lastRead, snapshotEnd } = progress.get(name)!
    const behind = lastRead >= snapshotEnd ? undefined : [String(lastRead)]
    const rest = behind === undefined ? [] : [{ to: undefined, read: undefined }]
    const stretches = [{ to: ['0'], read: undefined }, { to: behind, read: PASSED }, ...rest] as const
    return { ...unreadTable({ oid: Number(oid), id, schema, name, key: [key] }), stretches }
  })
}
