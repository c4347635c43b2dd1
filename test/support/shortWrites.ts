import { setTimeout as sleep } from 'node:timers/promises'
import type { TestDatabase } from './database.js'

/** What `writeShort` writes to. */
export const SHORT_TABLES = `
  CREATE TABLE items (id int8 PRIMARY KEY, n int4 NOT NULL, note text);
  CREATE TABLE log (writer int4 NOT NULL, n int4 NOT NULL, note text)`

/** `rows` in each. */
export function fillShort(rows: number): string {
  return `
    INSERT INTO items SELECT n, n, md5(n::text) FROM generate_series(1, ${rows}) n;
    INSERT INTO log SELECT 0, n, md5(n::text) FROM generate_series(1, ${rows}) n`
}

/** Short changes of all kinds, some hundred a second, until `stopped`. */
export async function writeShort(db: TestDatabase, random: () => number, stopped: AbortSignal): Promise<void> {
  const client = await db.connect()
  for (let next = 100_000; !stopped.aborted; next++) {
    const some = `id = (SELECT id FROM items WHERE id >= ${Math.floor(random() * 20_000)} ORDER BY id LIMIT 1)`
    const kind = random()
    const statement =
      kind < 0.4
        ? `INSERT INTO items SELECT ${next}, 0, md5('${next}')`
        : kind < 0.7
          ? `UPDATE items SET n = n + 1 WHERE ${some}`
          : kind < 0.8
            ? `UPDATE items SET id = -${next} WHERE ${some}`
            : kind < 0.9
              ? `DELETE FROM items WHERE ${some}`
              : `INSERT INTO log SELECT 1, ${next} + n, 'x' FROM generate_series(1, 100) n`
    await client.query(statement)
    await sleep(2)
  }
}
