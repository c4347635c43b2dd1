import { expect, test } from 'vitest'
import { Random } from '../../chaos/random.js'
import { Replication, rowsOf } from '../../support/replication.js'
import { majors, startServer } from '../../support/servers.js'

const TABLES = `
  CREATE TABLE plain (a text, b int, n int, big text, other text, PRIMARY KEY (a, b));
  CREATE TABLE odd (id numeric PRIMARY KEY, n int, big text, other text);
  CREATE TABLE whole (id int PRIMARY KEY, n int, big text, other text); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE log (n int, big text, other text);`
const STORAGE = ['plain', 'odd', 'whole', 'log']
  .map((table) => `ALTER TABLE ${table} ALTER big SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL;`)
  .join('\n')
const KEYED = ['plain', 'odd', 'whole'] as const
const ALL = [...KEYED, 'log']

/** One statement that a source may see; keys are few, so that they meet again and again. */
function statement(random: Random): string {
  const table = random.pick(KEYED)
  const id = random.integer(0, 11)
  const to = random.integer(0, 11)
  const [where, move, key] =
    table === 'plain'
      ? [`b = ${id}`, random.integer(0, 1) === 0 ? `b = ${to}` : `a = 'k${to}'`, `'k${random.integer(0, 1)}', ${id}`]
      : table === 'odd'
        ? [
            `id = ${id}`,
            `id = ${to}.${'0'.repeat(random.integer(0, 2))}0`,
            `${id}.${'0'.repeat(random.integer(0, 2))}0`,
          ]
        : [`id = ${id}`, `id = ${to}`, `${id}`]
  const n = random.integer(0, 999)
  const long = `repeat('${String.fromCharCode(97 + random.integer(0, 25))}', 2500)`
  switch (random.integer(0, 8)) {
    case 0:
    case 1:
      return `INSERT INTO ${table} VALUES (${key}, ${n}, ${long}, NULL) ON CONFLICT DO NOTHING`
    case 2:
      return `DELETE FROM ${table} WHERE ${where}`
    case 3:
      return `UPDATE ${table} SET n = ${n} WHERE ${where}`
    case 4:
      return `UPDATE ${table} SET big = ${long} WHERE ${where}`
    case 5:
      return `UPDATE ${table} SET other = ${long}, big = NULL WHERE ${where}`
    case 6:
      return `INSERT INTO log VALUES (${n}, ${long}, ${long})`
    case 7:
      return random.integer(0, 11) === 0 ? `TRUNCATE ${table}` : `UPDATE ${table} SET n = n + 1`
    default:
      return `UPDATE ${table} SET ${move} WHERE ${where}`
  }
}

/** A transaction of some of them; one that the source refuses, since a key is taken, leaves nothing. */
function transaction(random: Random): string {
  const statements = Array.from({ length: 1 + random.integer(0, 7) }, () => {
    return `BEGIN ${statement(random)}; EXCEPTION WHEN unique_violation THEN NULL; END;`
  })
  return `DO $do$ BEGIN ${statements.join('\n')} END $do$`
}

async function expectEqualAfter(pair: Replication, seed: number, rounds: number): Promise<void> {
  const random = new Random(seed)
  const source = { keyless: 'inserts' } as const
  await pair.run({ source })
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 60; i++) await pair.from.query(transaction(random))
    await pair.run({ source })
    for (const table of ALL) {
      expect(await rowsOf(pair.to, table), `${table}, seed ${seed}, round ${round}`).toEqual(
        await rowsOf(pair.from, table),
      )
    }
  }
}

test('any changes: both sides are equal', async () => {
  await using server = await startServer()
  await using pair = await Replication.between(server, server, ALL.join(), TABLES + STORAGE)
  await expectEqualAfter(pair, Number(process.env.TAILRACE_SEED ?? Date.now() % 1_000_000), 4)
})

test('from the oldest major to the newest, and back', async () => {
  await using old = await startServer({ major: Math.min(...majors) })
  await using young = await startServer({ major: Math.max(...majors) })
  for (const [from, to] of [
    [old, young],
    [young, old],
  ] as const) {
    await using pair = await Replication.between(from, to, ALL.join(), TABLES + STORAGE)
    await expectEqualAfter(pair, 1, 1)
  }
})
