import type pg from 'pg'
import type { SourceOptions } from '../../src/source/options.js'
import type { TestDatabase } from './database.js'
import type { SourceReader, SourceRecord } from './sourceReader.js'
import { waitFor } from './waitFor.js'

/** The least that a server takes, so that some hundred rows are a large transaction. */
const LITTLE = '64kB'

export const LARGE_TABLES = `
  CREATE TABLE t (id int PRIMARY KEY, note text, big text);
  CREATE TABLE u (id int PRIMARY KEY, t int);
  CREATE TABLE ballast (n serial PRIMARY KEY, filler text);
  ALTER TABLE t ALTER big SET STORAGE EXTERNAL`

/** Rows enough to make the server stream what came before. */
export const BALLAST = `INSERT INTO ballast (filler) SELECT repeat('x', 100) FROM generate_series(1, 800)`

/** A source of a slot that is there, from where it stands. */
export async function largeSource(
  db: TestDatabase,
  slot: string,
  options: Partial<SourceOptions> = {},
): Promise<SourceOptions> {
  db.expectSlots = true
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
  return {
    url: db.url,
    tables: 't,u,ballast',
    slot,
    publication: 'p',
    snapshot: 'never',
    existingSlot: 'resume',
    logicalDecodingWorkMem: LITTLE,
    ...options,
  } as SourceOptions
}

/** How many blocks the server has streamed for the slot. */
async function blocksOf(db: TestDatabase, slot: string): Promise<number> {
  const [row] = await db.query<{ n: string }>(
    'SELECT stream_count AS n FROM pg_stat_replication_slots WHERE slot_name = $1',
    [slot],
  )
  return Number(row?.n ?? 0)
}

/**
 * Runs `write`, and waits until the server has streamed it for the slot. What open transactions have written is flushed
 * by a commit of another one; without one the walsender would not see it.
 */
export async function streamed(db: TestDatabase, slot: string, write: () => Promise<unknown>): Promise<void> {
  const before = await blocksOf(db, slot)
  await write()
  const flushing = await db.connect()
  await waitFor(
    async () => {
      await flushing.query("SELECT pg_logical_emit_message(true, 'flush', '')")
      return (await blocksOf(db, slot)) > before
    },
    { what: 'the server to stream', timeoutMs: 30_000, intervalMs: 50 },
  )
  await flushing.end()
}

/** Everything of streaming, as far as servers do it without a fault; ends with a row of `u` of id 0. */
export async function largeHistory(db: TestDatabase, slot: string): Promise<void> {
  const [a, b] = [await db.connect(), await db.connect()]
  const both = (write: () => Promise<unknown>) => streamed(db, slot, write)
  await db.query("INSERT INTO t VALUES (1, 'before', repeat('1', 2100)), (2, 'before', 'short')")
  await a.query(`
    BEGIN; INSERT INTO t VALUES (10, 'kept', NULL);
    UPDATE t SET note = 'unchanged big' WHERE id = 1; UPDATE t SET id = 3 WHERE id = 2`)
  await both(() =>
    a.query(`SAVEPOINT s; INSERT INTO t VALUES (11, 'never', ''); INSERT INTO u VALUES (11, 11); ${BALLAST}`),
  )
  await b.query('BEGIN; INSERT INTO u VALUES (20, 1)')
  await both(() => b.query(BALLAST))
  await a.query(`ROLLBACK TO s; INSERT INTO t VALUES (12, 'kept', ''); SAVEPOINT r; INSERT INTO u VALUES (12, 12)`)
  // A sub-transaction that is released into one that is rolled back, with DDL of its own.
  await both(() => a.query(`RELEASE r; ${BALLAST}; SAVEPOINT o; INSERT INTO u VALUES (13, 0); SAVEPOINT i; ${BALLAST}`))
  await both(() => a.query(`RELEASE i; INSERT INTO u VALUES (14, 0); DELETE FROM t WHERE id = 10; ${BALLAST}`))
  await db.query("INSERT INTO t VALUES (30, 'between', NULL)")
  await b.query(`INSERT INTO u VALUES (21, 1); SELECT pg_logical_emit_message(false, 'kept', 'outside')`)
  await both(() => a.query(`ROLLBACK TO o; DELETE FROM t WHERE id = 1; ${BALLAST}`))
  await b.query('COMMIT')
  await both(() => a.query(`TRUNCATE u; INSERT INTO u VALUES (12, 13); ${BALLAST}`))
  await a.query(`SELECT pg_logical_emit_message(true, 'kept', 'inside'); INSERT INTO u VALUES (15, 0); COMMIT`)
  await a.query("BEGIN; INSERT INTO t VALUES (40, 'never', NULL)")
  await both(() => a.query(BALLAST))
  await a.query('ROLLBACK')
  await ddl(db, a, both)
  await a.query(`BEGIN; ${BALLAST}; TRUNCATE ballast, u RESTART IDENTITY CASCADE; ${BALLAST}; COMMIT`)
  await manySubtransactions(a)
  await db.query('INSERT INTO u VALUES (0, 0)')
}

async function ddl(db: TestDatabase, a: pg.Client, both: (write: () => Promise<unknown>) => Promise<void>) {
  // In one that is rolled back: its shape never was.
  await a.query("BEGIN; INSERT INTO t VALUES (50, 'before', NULL)")
  await both(() => a.query(BALLAST))
  await both(() =>
    a.query(`SAVEPOINT s; ALTER TABLE t ADD never int; INSERT INTO t VALUES (51, '', '', 1); ${BALLAST}`),
  )
  await both(() => a.query(`ROLLBACK TO s; INSERT INTO t VALUES (52, 'after', NULL); ${BALLAST}`))
  await a.query('COMMIT')
  await db.query("INSERT INTO t VALUES (53, 'plain', NULL)")
  // In one that is released.
  await a.query("BEGIN; INSERT INTO t VALUES (60, 'before', NULL); SAVEPOINT s; ALTER TABLE t ADD extra int")
  await both(() => a.query(`INSERT INTO t VALUES (61, 'inside', NULL, 1); RELEASE s; ${BALLAST}`))
  await both(() => a.query(`INSERT INTO t VALUES (62, 'after', NULL, 2); ${BALLAST}`))
  await a.query('COMMIT')
  await db.query("INSERT INTO t VALUES (63, 'plain', NULL, 3)")
}

/** As PL/pgSQL makes one for each EXCEPTION block. */
function manySubtransactions(a: pg.Client) {
  return a.query(`DO $$ BEGIN
    FOR i IN 1000..1600 LOOP
      BEGIN
        INSERT INTO u VALUES (i, i);
        INSERT INTO ballast (filler) VALUES (repeat('y', 200));
        IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
      EXCEPTION WHEN raise_exception THEN NULL;
      END;
      INSERT INTO u VALUES (-i, i);
    END LOOP;
  END $$`)
}

export const isEnd = ({ table, key }: SourceRecord) => table === 'u' && key?.id === 0

/** Records without their positions, which also say where batches ended. */
export function plainRecords({ records }: Pick<SourceReader, 'records'>): unknown[] {
  return records.map(({ position: _, ...record }) => record)
}
