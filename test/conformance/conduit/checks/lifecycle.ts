import { type Bench, type Check, databases, expect, expectEqual, newPipeline, sourceSettings } from '../check.js'

const SQL = 'CREATE TABLE orders (id int4 PRIMARY KEY); INSERT INTO orders VALUES (1)'

type Query = (sql: string) => Promise<Record<string, unknown>[]>

export const lifecycle: readonly Check[] = [
  {
    name: 'deleted: slot and publication are gone; deleted once more is no error',
    async run(bench: Bench) {
      await using dbs = await databases(bench, SQL)
      const source = sourceSettings(dbs.from.url, 'orders')
      await using pipeline = newPipeline(bench, { source })
      await once(pipeline)
      const query: Query = (sql) => dbs.from.query(sql)
      expectEqual(await left(query), { slots: 1, publications: 1 }, 'what is there')
      for (const time of ['first', 'second']) {
        const answer = await pipeline.command('deleted')
        expectEqual(answer.event, 'deleted', `the ${time} answer (${answer.error})`)
        expectEqual(await left(query), { slots: 0, publications: 0 }, `what is left after the ${time}`)
      }
      return 'nothing is left'
    },
  },
  {
    name: 'deleted with logrepl.autoCleanup false: both are kept',
    async run(bench: Bench) {
      await using dbs = await databases(bench, SQL)
      const source = sourceSettings(dbs.from.url, 'orders', { 'logrepl.autoCleanup': 'false' })
      await using pipeline = newPipeline(bench, { source })
      await once(pipeline)
      expectEqual((await pipeline.command('deleted')).event, 'deleted', 'the answer')
      expectEqual(await left((sql) => dbs.from.query(sql)), { slots: 1, publications: 1 }, 'what is left')
      return 'both are there'
    },
  },
  {
    name: "deleted: a publication that is the user's is kept",
    async run(bench: Bench) {
      await using dbs = await databases(bench, `${SQL}; CREATE PUBLICATION mine FOR TABLE orders`)
      const source = sourceSettings(dbs.from.url, 'orders', { 'logrepl.publicationName': 'mine' })
      await using pipeline = newPipeline(bench, { source })
      await once(pipeline)
      expectEqual((await pipeline.command('deleted')).event, 'deleted', 'the answer')
      const { publications } = await left((sql) => dbs.from.query(sql))
      expectEqual(publications, 1, 'publications that are left')
      return 'it is there'
    },
  },
  {
    name: 'settings that change are taken at the next start (lifecycle updated)',
    async run(bench: Bench) {
      await using dbs = await databases(bench, SQL)
      const source = sourceSettings(dbs.from.url, 'orders')
      await using pipeline = newPipeline(bench, { source })
      await once(pipeline)
      pipeline.configure({ source: { ...source, 'sdk.batch.size': '10' } })
      const host = await pipeline.start()
      await dbs.from.query('INSERT INTO orders VALUES (2)')
      await host.hasAcked(1)
      const { records } = await host.stop()
      expect(records === 1, `${records} records came, not the new one alone`)
      return 'the run went on where the one before had stopped'
    },
  },
]

async function once(pipeline: ReturnType<typeof newPipeline>): Promise<void> {
  const host = await pipeline.start()
  await host.hasAcked(1)
  await host.stop()
}

async function left(query: Query) {
  const [row] = await query(`SELECT
    (SELECT count(*)::int4 FROM pg_replication_slots WHERE database = current_database()) AS slots,
    (SELECT count(*)::int4 FROM pg_publication) AS publications`)
  return { slots: row!.slots as number, publications: row!.publications as number }
}
