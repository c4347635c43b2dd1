import { expect, test } from 'vitest'
import { testDatabase } from '../../../support/database.js'
import { startServer } from '../../../support/servers.js'
import { readSource } from '../../../support/sourceReader.js'
import { requireOrder } from '../../../support/sourceReplay.js'
import { confirmedLsn } from '../../../support/sourceSlots.js'
import { waitFor } from '../../../support/waitFor.js'

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, note text)'

test.each(['fast', 'immediate'] as const)(
  'a prepared transaction comes whole at COMMIT PREPARED, though all around it was confirmed, the run stopped and the server restarted (%s)',
  async (mode) => {
    await using server = await startServer()
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    const slot = `p_${db.name}`
    const options = { url: db.url, tables: 't', slot, snapshot: 'never' } as const
    const first = readSource(options)
    await first.told('streaming')
    await db.query("BEGIN; INSERT INTO t VALUES (1, 'prepared'), (2, 'prepared'); PREPARE TRANSACTION 'kept'")
    await db.query("BEGIN; INSERT INTO t VALUES (3, 'prepared'); PREPARE TRANSACTION 'undone'")
    const [prepared] = await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
    await db.query("INSERT INTO t VALUES (10, 'behind them')")
    await first.seen(({ key }) => key?.id === 10, 'the row behind')
    const behind = `SELECT FROM pg_replication_slots WHERE slot_name = '${slot}' AND confirmed_flush_lsn > '${prepared!.lsn}'`
    await waitFor(async () => (await db.query(behind)).length > 0, { what: 'the confirmation' })
    await first.close()
    const { position } = first.batches.at(-1)!
    await server.restart(mode)
    const again = await db.connect()
    await using second = readSource({ ...options, position })
    await second.told('streaming')
    await again.query("ROLLBACK PREPARED 'undone'")
    await again.query("COMMIT PREPARED 'kept'")
    await again.query("INSERT INTO t VALUES (11, 'last')")
    await second.seen(({ key }) => key?.id === 11, 'the last row')
    const records = [...first.records, ...second.records]
    expect(records.map(({ key, seq }) => [key?.id, seq])).toEqual([
      [10, 0],
      [1, 0],
      [2, 1],
      [11, 0],
    ])
    requireOrder(records)
    await second.until(async () => (await slotAt(again, slot)) === second.batches.at(-1)!.position.toJSON().end, {
      what: 'the last confirmation',
    })
  },
)

async function slotAt(client: { query(sql: string): Promise<{ rows: unknown[] }> }, slot: string): Promise<unknown> {
  const query = async <R>(sql: string, values?: readonly unknown[]) =>
    (await client.query(sql.replace('$1', `'${values?.[0]}'`))).rows as R[]
  return confirmedLsn({ query } as never, slot)
}
