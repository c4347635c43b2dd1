import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Random } from '../random.js'

/** With the columns of their keys; `log` has none. */
export const TABLES: Readonly<Record<string, readonly string[]>> = {
  items: ['id'],
  names: ['owner', 'code'],
  parts: ['id'],
  bodies: ['id'],
  log: [],
}

/**
 * Of `items` so much that its lines are made in a thread.
 *
 * Each row knows its version, a number that is greater than all that were drawn before: whoever writes a key is one session
 * (by `owner`), so that of the versions of one key the later one is the greater.
 */
export function sourceSql(rows: number, owners: number): string {
  const few = Math.ceil(rows / 4)
  return `
  CREATE SEQUENCE versions;
  CREATE FUNCTION draw() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.version := nextval('versions'); RETURN NEW; END $$;
  CREATE TABLE items (id int8 PRIMARY KEY, version int8, v text);
  CREATE TABLE names (owner int, code text, version int8, n numeric, PRIMARY KEY (owner, code));
  CREATE TABLE parts (id int8 PRIMARY KEY, version int8, at timestamptz, tags text[]) PARTITION BY HASH (id);
  CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
  ALTER TABLE parts_0 REPLICA IDENTITY FULL;
  ALTER TABLE parts_1 REPLICA IDENTITY FULL;
  CREATE TABLE bodies (id int8 PRIMARY KEY, version int8, body text, title text);
  ALTER TABLE bodies ALTER body SET STORAGE EXTERNAL;
  CREATE TABLE log (owner int, n int);
  CREATE TRIGGER draw BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION draw();
  CREATE TRIGGER draw BEFORE INSERT OR UPDATE ON names FOR EACH ROW EXECUTE FUNCTION draw();
  CREATE TRIGGER draw BEFORE INSERT OR UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION draw();
  CREATE TRIGGER draw BEFORE INSERT OR UPDATE ON bodies FOR EACH ROW EXECUTE FUNCTION draw();
  INSERT INTO items SELECT i, 0, repeat(md5(i::text), 30) FROM generate_series(1, ${rows}) i;
  INSERT INTO names SELECT i % ${owners}, 'c' || i, 0, i / 3.0 FROM generate_series(1, ${few}) i;
  INSERT INTO parts SELECT i, 0, now(), ARRAY['a', NULL, i::text] FROM generate_series(1, ${few}) i;
  INSERT INTO bodies SELECT i, 0, repeat(md5(i::text), 100), 'b' || i FROM generate_series(1, ${Math.ceil(few / 10)}) i;
  INSERT INTO log SELECT 0, i FROM generate_series(1, 500) i;
  ANALYZE`
}

/** Sessions that change the tables in transactions of all sizes until they are stopped, each its own keys. */
export class Workload {
  transactions = 0
  readonly #stopped = new AbortController()
  readonly #writing: Promise<void>[]
  #failure: Error | undefined

  /** `rests`: how many times as long as usual they wait behind each transaction. */
  constructor(url: string, owners: number, rows: number, random: Random, rests = 1) {
    this.#writing = Array.from({ length: owners }, (_, owner) =>
      this.#write(url, { owner, owners, rows, rests, random: random.fork() }).catch((error: Error) => {
        this.#failure ??= error
      }),
    )
  }

  /** Rejects with what nobody expected. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#writing)
    if (this.#failure !== undefined) throw this.#failure
  }

  async #write(url: string, owner: Owner): Promise<void> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const { random, rests } = owner
    for (let n = 1; !this.#stopped.signal.aborted; n++) {
      const count = random.chance(0.03) ? random.integer(50, 300) : random.integer(1, 6)
      const statements = Array.from({ length: count }, () => statement(owner, n))
      if (random.chance(0.1)) statements.splice(1, 0, 'SAVEPOINT s', statement(owner, n), 'ROLLBACK TO s')
      if (random.chance(0.02)) statements.push(bulk(owner, n))
      await client.query(['BEGIN', ...statements, random.chance(0.05) ? 'ROLLBACK' : 'COMMIT'].join(';'))
      this.transactions++
      await pause(rests * (random.chance(0.1) ? random.integer(20, 80) : random.integer(1, 6)))
    }
    await client.end()
  }
}

interface Owner {
  readonly owner: number
  readonly owners: number
  readonly rows: number
  readonly rests: number
  readonly random: Random
}

function bulk({ owner, owners, rows, random }: Owner, n: number): string {
  const from = random.integer(1, rows)
  const mine = `id % ${owners} = ${owner} AND id BETWEEN ${from} AND ${from + 9000}`
  return random.pick([
    `UPDATE items SET v = 'bulk ${n}' WHERE ${mine}`,
    `DELETE FROM items WHERE ${mine} AND id % 7 = 0`,
    `INSERT INTO items SELECT i, 0, 'again' FROM generate_series(${from}, ${from + 9000}) i
       WHERE i % ${owners} = ${owner} ON CONFLICT (id) DO UPDATE SET v = 'once more'`,
    `UPDATE parts SET at = now() WHERE ${mine}`,
  ])
}

function statement({ owner, owners, rows, random }: Owner, n: number): string {
  const idOf = (most: number) => {
    const id = random.integer(1, most)
    return id - (id % owners) + owner
  }
  const few = Math.ceil(rows / 4)
  const id = idOf(rows + 100)
  const part = idOf(few + 100)
  const body = idOf(Math.ceil(few / 10) + 10)
  const code = `code = (SELECT code FROM names WHERE owner = ${owner} AND code >= 'c${random.integer(1, few)}' ORDER BY code LIMIT 1)`
  switch (random.integer(0, 12)) {
    case 0:
    case 1:
      return `UPDATE items SET v = 'u${n}' WHERE id = ${id}`
    case 2:
      return `DELETE FROM items WHERE id = ${id}`
    case 3:
      return `INSERT INTO items VALUES (${id}, 0, 'i${n}') ON CONFLICT (id) DO UPDATE SET v = 'c${n}'`
    // Deleted and made again in one transaction.
    case 4:
      return `DELETE FROM items WHERE id = ${id}; INSERT INTO items VALUES (${id}, 0, 'r${n}')`
    // The key changes, often to one that there was before.
    case 5:
      return `UPDATE names SET code = CASE WHEN code LIKE '%x' THEN left(code, -1) ELSE code || 'x' END
                WHERE owner = ${owner} AND ${code} AND NOT EXISTS (SELECT FROM names AS o WHERE o.owner = names.owner
                  AND o.code = CASE WHEN names.code LIKE '%x' THEN left(names.code, -1) ELSE names.code || 'x' END)`
    case 6:
      return `DELETE FROM names WHERE owner = ${owner} AND ${code}`
    case 7:
      return `INSERT INTO names VALUES (${owner}, 'c${random.integer(1, few)}', 0, ${n}) ON CONFLICT (owner, code) DO UPDATE SET n = ${n}`
    case 8:
      return `INSERT INTO parts VALUES (${part}, 0, now(), '{n,"${n}"}') ON CONFLICT (id) DO UPDATE SET tags = '{o}'`
    case 9:
      return `DELETE FROM parts WHERE id = ${part}`
    // What is large is not sent.
    case 10:
      return `UPDATE bodies SET title = 't${n}' WHERE id = ${body}`
    case 11:
      return random.chance(0.5)
        ? `DELETE FROM bodies WHERE id = ${body}`
        : `INSERT INTO bodies VALUES (${body}, 0, repeat(md5('${n}'), ${random.integer(60, 200)}), 'i') ON CONFLICT (id) DO UPDATE SET body = excluded.body`
    default:
      return `INSERT INTO log VALUES (${owner + 1}, ${n})`
  }
}
