import { setTimeout as pause } from 'node:timers/promises'
import { waitFor } from '../../../support/waitFor.js'
import { type Bench, type Check, databases, expect, FORMATS, newPipeline, sourceSettings } from '../check.js'

/** An hour of a server that fills a segment a minute. */
const SEGMENTS = 60
const SEGMENT_BYTES = 16 * 1024 * 1024
const SQL = `CREATE TABLE idle (id int4 PRIMARY KEY); CREATE TABLE busy (n int4, filler text);
  INSERT INTO idle VALUES (1)`

export const slots: readonly Check[] = [
  {
    name: 'idle for an hour of WAL of other tables (compressed): it holds none',
    async run(bench: Bench) {
      await using dbs = await databases(bench, SQL)
      const source = sourceSettings(dbs.from.url, 'idle', FORMATS.avro)
      await using pipeline = newPipeline(bench, { source, storeEveryMs: 1000 })
      const host = await pipeline.start()
      await host.hasAcked(1)
      const lsn = async () => (await dbs.from.query('SELECT pg_current_wal_lsn()::text AS lsn'))[0]!.lsn as string
      const held = async () => {
        const [row] =
          await dbs.from.query(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8::text AS bytes
          FROM pg_replication_slots WHERE database = current_database()`)
        return Number(row!.bytes)
      }
      const from = await lsn()
      let most = 0
      for (let segment = 0; segment < SEGMENTS; segment++) {
        await dbs.from.query(`INSERT INTO busy SELECT n, md5(n::text) FROM generate_series(1, 1000) n`)
        await dbs.from.query('SELECT pg_switch_wal()')
        // What the server writes by itself every 15 s: only there a slot's restart_lsn can move to.
        if (segment % 5 === 4) await dbs.from.query('CHECKPOINT')
        await pause(300)
        most = Math.max(most, await held())
      }
      const [row] = await dbs.from.query(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '${from}')::int8::text AS bytes`)
      const written = Number(row!.bytes)
      await waitFor(async () => (await held()) < 2 * SEGMENT_BYTES, { what: 'the slot to move on', timeoutMs: 60_000 })
      const atTheEnd = await held()
      // The host has stored nothing of all that: it goes on all the same.
      await host.stop()
      const again = await pipeline.start()
      await dbs.from.query('INSERT INTO idle VALUES (2)')
      await again.hasAcked(1)
      const { records } = await again.stop()
      expect(records === 1, `after the stop ${records} records came, not one`)
      const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
      return `${mb(written)} of WAL; held at most ${mb(most)}, at the end ${mb(atTheEnd)}`
    },
  },
  {
    name: 'a dropped slot is an error that names the way out, not a gap',
    async run(bench: Bench) {
      await using dbs = await databases(bench, SQL)
      const source = sourceSettings(dbs.from.url, 'idle', FORMATS.avro)
      await using pipeline = newPipeline(bench, { source })
      const host = await pipeline.start()
      await host.hasAcked(1)
      await host.stop()
      const slot = source['logrepl.slotName' as keyof typeof source]
      await dbs.from.query('INSERT INTO idle VALUES (2)')
      await dbs.from.query(`SELECT pg_drop_replication_slot('${slot}')`)
      await dbs.from.query('INSERT INTO idle VALUES (3)')
      const failure = await pipeline.failure()
      expect(/SLOT_MISSING/.test(failure), `it failed with ${failure}`)
      expect(/onSlotLost/.test(failure), `the text names no way out: ${failure}`)
      const made = await dbs.from.query('SELECT FROM pg_replication_slots WHERE database = current_database()')
      expect(made.length === 0, 'the slot was made anew')
      // The way out.
      pipeline.configure({ source: { ...source, onSlotLost: 'resnapshot' } })
      const repaired = await pipeline.start()
      await repaired.hasAcked(3)
      await repaired.stop()
      return failure.slice(0, 200)
    },
  },
]
