import { describe, expect, test } from 'vitest'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { BUILTIN_SAMPLES } from '../../support/samples/builtin.js'
import { arraySamples, type TypeSamples } from '../../support/samples/shape.js'
import { EXTENSION_SAMPLES, EXTENSIONS, USER_SAMPLES, USER_TYPES } from '../../support/samples/user.js'
import { ValueOracle } from '../../support/valueOracle.js'
import { describeEachMajor } from '../../support/versions.js'

const SETUP = `${EXTENSIONS.map((name) => `CREATE EXTENSION ${name};`).join('\n')}\n${USER_TYPES}`

/** What the types of catalogs that take no input are made of, where a server has some. */
const CATALOG_ONLY: Readonly<Record<string, string | null>> = {
  pg_node_tree: 'SELECT ev_action FROM pg_rewrite LIMIT 5',
  pg_ndistinct: 'SELECT stxdndistinct FROM pg_statistic_ext_data',
  pg_dependencies: 'SELECT stxddependencies FROM pg_statistic_ext_data',
  pg_mcv_list: 'SELECT stxdmcv FROM pg_statistic_ext_data',
  gtsvector: null, // in GiST indexes only
  pg_brin_bloom_summary: null, // in BRIN indexes only
  pg_brin_minmax_multi_summary: null,
}

describeEachMajor('values as the server sees them', (postgres) => {
  const of = (samples: readonly TypeSamples[]) => samples.filter(({ since = 0 }) => since <= postgres.major)

  describe.each([
    ['built-in types', BUILTIN_SAMPLES],
    ['types of extensions and users', [...EXTENSION_SAMPLES, ...USER_SAMPLES]],
  ])('%s', (_, samples) => {
    test('come out the same in snapshot, stream and to_json, and lead back', async () => {
      await using db = await testDatabase(postgres.server, SETUP)
      await using oracle = await ValueOracle.open(db)
      await oracle.check(of(samples))
    })

    test('are Avro of the same bytes in snapshot and stream, and lead back', async () => {
      await using db = await testDatabase(postgres.server, SETUP)
      await using oracle = await ValueOracle.open(db)
      await oracle.checkAvro(of(samples))
    })

    test('are Avro in arrays', async () => {
      await using db = await testDatabase(postgres.server, SETUP)
      await using oracle = await ValueOracle.open(db)
      await oracle.checkAvro(of(samples).map(arraySamples))
    })

    test('come out the same in arrays', async () => {
      await using db = await testDatabase(postgres.server, SETUP)
      await using oracle = await ValueOracle.open(db)
      await oracle.check(of(samples).map(arraySamples))
    })
  })

  test('every type of pg_catalog is among them', async () => {
    await using db = await testDatabase(postgres.server, SETUP)
    await using oracle = await ValueOracle.open(db)
    await makeStatistics(db)
    const names = of(BUILTIN_SAMPLES).map(({ sql }) => sql)
    const types = await db.query<{ name: string; oid: number; sampled: boolean }>(
      `SELECT typname::text AS name, oid::int4 AS oid, oid = ANY ($1::regtype[]) AS sampled
         FROM pg_type
        WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype NOT IN ('c', 'p')
          AND typname NOT LIKE E'\\\\_%'
        ORDER BY oid`,
      [names],
    )
    expect(types.length).toBeGreaterThan(70)
    for (const { name, oid, sampled } of types.filter((type) => !type.sampled)) {
      const query = CATALOG_ONLY[name]
      expect(query, `no values of ${name} are tried`).not.toBe(undefined)
      if (query) expect(await oracle.checkQuery(oid, query), query).toBeGreaterThan(0)
      expect(sampled).toBe(false)
    }
  })

  test('rows of system catalogs come out as to_json has them', async () => {
    await using db = await testDatabase(postgres.server, SETUP)
    await using oracle = await ValueOracle.open(db)
    const catalogs = await db.query<{ name: string; oid: number }>(
      `SELECT c.oid::regclass::text AS name, c.reltype::int4 AS oid FROM pg_class c
        WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
          AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND atttypid = 'anyarray'::regtype)`,
    )
    let rows = 0
    for (const { name, oid } of catalogs)
      rows += await oracle.checkQuery(oid, `SELECT c FROM pg_catalog.${name} c LIMIT 40`)
    expect(rows).toBeGreaterThan(500)
  })
})

async function makeStatistics(db: TestDatabase): Promise<void> {
  await db.query(`
    CREATE TABLE counted AS SELECT i % 3 AS a, i % 3 AS b FROM generate_series(1, 300) i;
    CREATE STATISTICS counted_ab (ndistinct, dependencies, mcv) ON a, b FROM counted;
    ANALYZE counted`)
}
