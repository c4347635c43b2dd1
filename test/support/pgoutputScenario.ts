import type { TestDatabase } from './database.js'
import type { PgoutputCapture } from './pgoutputFixtures.js'
import { PgoutputStream } from './pgoutputStream.js'
import type { PgoutputEvent, PlainRelation, PlainTuple } from './pgoutputTwin.js'

// Everything that pgoutput can send, as real servers send it: tables, types and publication first, then a slot and a
// walsender for every kind of options, then the changes.

const SETUP = `
  CREATE SCHEMA "Größe ☃";
  CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"');
  CREATE DOMAIN positive AS int4 CHECK (value > 0);
  CREATE DOMAIN moodiness AS mood;
  CREATE TYPE pair AS (a int4, b text);
  CREATE TYPE "Größe ☃"."Spanne" AS RANGE (subtype = float8);

  CREATE TABLE kinds (
    id int8 PRIMARY KEY, b bool, i2 int2, i4 int4, n numeric(12,4), f4 float4, f8 float8, t text, v varchar(20),
    c char(5), by bytea, d date, ti time(3), tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json,
    jb jsonb, x xml, ip inet, bi bit(3), p point, a int4[], ta text[], o oid, tv tsvector, r int4range,
    m mood, pos positive, mn moodiness, pr pair, ma mood[], sp "Größe ☃"."Spanne",
    g int4 GENERATED ALWAYS AS (i2 * 2) STORED);
  CREATE TABLE "Größe ☃"."Straße, ""schräg""" ("schlüssel 🔑" text PRIMARY KEY, "größe" int4);
  CREATE TABLE by_default (id int4 PRIMARY KEY, note text, big text);
  CREATE TABLE by_full (id int4, note text, big text);
  CREATE TABLE by_index (id int4 PRIMARY KEY, code text NOT NULL UNIQUE, note text);
  CREATE TABLE by_nothing (a int4, b text);
  CREATE TABLE two_keys (b text, c text, a int4, PRIMARY KEY (a, b));
  CREATE TABLE no_columns ();
  CREATE TABLE parent (id int4 PRIMARY KEY);
  CREATE TABLE child (id serial PRIMARY KEY, parent int4 REFERENCES parent);
  CREATE TABLE parted (id int4, part int4, note text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
  CREATE TABLE parted_1 (dropped int4, note text, part int4 NOT NULL, id int4 NOT NULL);
  ALTER TABLE parted_1 DROP dropped;
  ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES IN (1);
  CREATE TABLE changing (id int4 PRIMARY KEY, a text, b text);
  CREATE TABLE streamed (id int4 PRIMARY KEY, note text);
  CREATE TABLE other (id int4 PRIMARY KEY, m mood);
  CREATE TABLE ballast (n int4);
  ALTER TABLE by_default ALTER big SET STORAGE EXTERNAL;
  ALTER TABLE by_full ALTER big SET STORAGE EXTERNAL;
  ALTER TABLE by_full REPLICA IDENTITY FULL;
  ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key;
  ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;

  CREATE PUBLICATION scenario FOR TABLE kinds, "Größe ☃"."Straße, ""schräg""", by_default, by_full, by_index, by_nothing,
    two_keys, no_columns, parent, child, parted, changing, streamed, other WITH (publish_via_partition_root = true);`

/** Changes of a table that is not published: they fill the server's memory, so that it streams, and are not sent. */
const BALLAST = 'INSERT INTO ballast SELECT generate_series(1, 1000)'

/**
 * Statements, each a transaction of its own unless a BEGIN stands before. `2:` is said by a second session. `wait` is
 * until the server has sent all so far: it would leave out of a streamed block what it knows to be rolled back.
 */
const CHANGES = `
  INSERT INTO kinds VALUES (9223372036854775807, true, -32768, 2147483647, 12345678.9000, 1.5, 0.1, E'tab\\t, "quotes", 雪',
    '', 'ab', '\\x00ff5c', '2026-11-21', '10:00:00.123', '10:00:00+02', 'infinity', '2026-11-21 10:00:00.123456+01',
    '1 year 2 days 03:04:05.6', '00000000-0000-0000-0000-00000000000a', '{"a" : 1}', '{"b": [1, null]}', '<a/>',
    '10.0.0.1/8', B'101', '(1,2)', '{1,NULL,3}', '{"",NULL,"null","a,b"}', 4294967295, 'a b', '[1,5)',
    'it''s "fine"', 7, 'sad', '(1,"x y")', '{sad,"it''s \\"fine\\""}', '[0.5,1)');
  INSERT INTO kinds (id) VALUES (-1);
  UPDATE kinds SET t = '' WHERE id = -1;
  DELETE FROM kinds;

  INSERT INTO "Größe ☃"."Straße, ""schräg""" VALUES ('', 1), ('🔑', NULL);
  UPDATE "Größe ☃"."Straße, ""schräg""" SET "schlüssel 🔑" = 'ключ' WHERE "größe" IS NULL;
  DELETE FROM "Größe ☃"."Straße, ""schräg""" WHERE "schlüssel 🔑" = '';

  INSERT INTO by_default VALUES (1, 'one', repeat('1', 2100)), (2, 'two', 'short');
  UPDATE by_default SET note = 'uno' WHERE id = 1;
  UPDATE by_default SET id = 3 WHERE id = 1;
  UPDATE by_default SET note = NULL, big = NULL WHERE id = 3;
  DELETE FROM by_default WHERE id = 3;

  INSERT INTO by_full VALUES (1, NULL, repeat('2', 2100)), (2, '', NULL);
  UPDATE by_full SET note = 'uno' WHERE id = 1;
  UPDATE by_full SET id = 3 WHERE id = 2;
  DELETE FROM by_full WHERE id = 3;

  INSERT INTO by_index VALUES (1, 'a', 'x'), (2, 'b', NULL);
  UPDATE by_index SET id = 11 WHERE id = 1;
  UPDATE by_index SET code = 'c' WHERE id = 2;
  DELETE FROM by_index WHERE code = 'a';

  INSERT INTO by_nothing VALUES (1, 'a');
  TRUNCATE by_nothing;
  INSERT INTO two_keys VALUES ('b', NULL, 1);
  UPDATE two_keys SET b = 'bb' WHERE a = 1;
  INSERT INTO no_columns DEFAULT VALUES;
  INSERT INTO parted VALUES (1, 1, 'leaf');
  UPDATE parted SET note = 'blatt';
  TRUNCATE parted;

  INSERT INTO parent VALUES (1);
  INSERT INTO child (parent) VALUES (1);
  TRUNCATE child RESTART IDENTITY;
  TRUNCATE parent CASCADE;
  TRUNCATE parent, child, two_keys RESTART IDENTITY CASCADE;

  SELECT pg_logical_emit_message(false, 'outside', 'at once');
  SELECT pg_logical_emit_message(true, 'präfix', '\\x0001ff'::bytea);
  BEGIN;
  INSERT INTO changing VALUES (1, 'a', 'b');
  SELECT pg_logical_emit_message(true, '', '');
  INSERT INTO changing VALUES (2, 'a', 'b');
  COMMIT;

  ALTER TABLE changing ADD c mood DEFAULT 'sad';
  INSERT INTO changing VALUES (3, 'a', 'b', NULL);
  ALTER TABLE changing DROP a;
  ALTER TABLE changing RENAME b TO "B";
  UPDATE changing SET c = 'sad' WHERE id = 1;
  BEGIN;
  INSERT INTO changing VALUES (4, 'before');
  ALTER TABLE changing ADD d int4;
  INSERT INTO changing VALUES (5, 'after', NULL, 5);
  SAVEPOINT s;
  INSERT INTO changing VALUES (6, 'never');
  ROLLBACK TO s;
  INSERT INTO changing VALUES (7, 'last');
  COMMIT;

  SELECT pg_replication_origin_create('Ürsprung');
  SELECT pg_replication_origin_session_setup('Ürsprung');
  BEGIN;
  SELECT pg_replication_origin_xact_setup('16/B374D848', '2026-01-02 03:04:05+00');
  INSERT INTO by_nothing VALUES (2, 'from elsewhere');
  COMMIT;
  BEGIN;
  SELECT pg_replication_origin_xact_setup('16/B374D900', '2026-01-02 03:04:05+00');
  INSERT INTO streamed VALUES (1, 'from elsewhere');
  ${BALLAST};
  COMMIT;
  SELECT pg_replication_origin_session_reset();

  INSERT INTO streamed VALUES (2, 'not streamed');
  BEGIN;
  INSERT INTO streamed VALUES (10, 'kept');
  SAVEPOINT a;
  INSERT INTO streamed VALUES (11, 'rolled back');
  INSERT INTO other VALUES (11, 'sad');
  ${BALLAST};
  2: INSERT INTO other VALUES (1, 'sad');
  2: BEGIN;
  2: INSERT INTO other VALUES (2, NULL);
  2: ${BALLAST};
  2: SELECT pg_logical_emit_message(false, 'outside', 'while others are open');
  wait;
  ROLLBACK TO a;
  INSERT INTO streamed VALUES (12, 'kept');
  INSERT INTO other VALUES (12, 'sad');
  SAVEPOINT b;
  UPDATE streamed SET note = 'kept, too' WHERE id = 12;
  UPDATE streamed SET id = 14 WHERE id = 10;
  RELEASE b;
  DELETE FROM streamed WHERE id = 2;
  SELECT pg_logical_emit_message(true, 'streamed', 'kept');
  ${BALLAST};
  SAVEPOINT c;
  SAVEPOINT d;
  INSERT INTO streamed VALUES (15, 'rolled back');
  SELECT pg_logical_emit_message(true, 'streamed', 'rolled back');
  ${BALLAST};
  RELEASE d;
  INSERT INTO streamed VALUES (16, 'rolled back');
  TRUNCATE parent CASCADE;
  ${BALLAST};
  wait;
  ROLLBACK TO c;
  TRUNCATE child;
  INSERT INTO streamed VALUES (17, 'kept');
  ${BALLAST};
  2: INSERT INTO other VALUES (3, 'sad');
  COMMIT;
  2: COMMIT;
  INSERT INTO streamed VALUES (18, 'not streamed');
  INSERT INTO other VALUES (18, 'sad');

  BEGIN;
  INSERT INTO streamed VALUES (20, 'never');
  ${BALLAST};
  INSERT INTO streamed VALUES (21, 'never');
  wait;
  ROLLBACK;

  BEGIN;
  INSERT INTO streamed VALUES (30, 'before');
  ${BALLAST};
  SAVEPOINT s;
  ALTER TABLE streamed ADD rolled_back text;
  INSERT INTO streamed VALUES (31, 'never', 'never');
  ${BALLAST};
  wait;
  ROLLBACK TO s;
  INSERT INTO streamed VALUES (32, 'after');
  ${BALLAST};
  COMMIT;
  INSERT INTO streamed VALUES (33, 'not streamed');

  BEGIN;
  INSERT INTO streamed VALUES (40, 'before');
  ALTER TABLE streamed ADD added positive;
  INSERT INTO streamed VALUES (41, 'after', 1);
  ${BALLAST};
  INSERT INTO streamed VALUES (42, 'last', 2);
  COMMIT;
  INSERT INTO streamed VALUES (43, 'not streamed', 3);

  BEGIN;
  INSERT INTO streamed VALUES (50, 'before', NULL);
  SAVEPOINT s;
  ALTER TABLE streamed RENAME note TO renamed;
  INSERT INTO streamed VALUES (51, 'inside', NULL);
  RELEASE s;
  INSERT INTO streamed VALUES (52, 'after', NULL);
  ${BALLAST};
  INSERT INTO streamed VALUES (53, 'last', NULL);
  COMMIT;
  INSERT INTO streamed VALUES (54, 'not streamed', NULL);

  BEGIN;
  INSERT INTO by_index VALUES (50, 'prepared');
  PREPARE TRANSACTION 'gid ü';
  COMMIT PREPARED 'gid ü';
  BEGIN;
  INSERT INTO by_index VALUES (51, 'never');
  PREPARE TRANSACTION 'undone';
  wait;
  ROLLBACK PREPARED 'undone';
  BEGIN;
  INSERT INTO by_index VALUES (52, 'prepared, streamed 1');
  ${BALLAST};
  INSERT INTO by_index VALUES (53, 'prepared, streamed 2');
  PREPARE TRANSACTION 'streamed';
  COMMIT PREPARED 'streamed';
  BEGIN;
  INSERT INTO by_index VALUES (54, 'never');
  ${BALLAST};
  wait;
  PREPARE TRANSACTION 'streamed, undone';
  wait;
  ROLLBACK PREPARED 'streamed, undone';
  INSERT INTO by_index VALUES (55, 'last')`

/** Runs the scenario in an empty database, read meanwhile with every kind of options that the server knows. */
export async function captureScenario(db: TestDatabase, major: number): Promise<PgoutputCapture[]> {
  db.expectSlots = true
  await db.query(SETUP)
  const streams: PgoutputStream[] = []
  const captures = optionsOf(major).map((options) => ({ ...options, server: '', messages: [] as Buffer[] }))
  for (const capture of captures) {
    const stream = await startStream(db, capture)
    capture.messages = stream.messages
    streams.push(stream)
  }
  await run(db, streams)
  const [version] = await db.query<{ server_version: string }>('SHOW server_version')
  for (const capture of captures) capture.server = version!.server_version
  await db.query("SELECT pg_replication_origin_drop('Ürsprung')")
  return captures
}

type CaptureOptions = Pick<PgoutputCapture, 'protocolVersion' | 'streaming' | 'twoPhase'>

function optionsOf(major: number): CaptureOptions[] {
  const options: CaptureOptions[] = [
    { protocolVersion: 1, streaming: 'off', twoPhase: false },
    { protocolVersion: 2, streaming: 'on', twoPhase: false },
  ]
  if (major >= 15) options.push({ protocolVersion: 3, streaming: 'off', twoPhase: true })
  if (major >= 15) options.push({ protocolVersion: 3, streaming: 'on', twoPhase: true })
  if (major >= 16) options.push({ protocolVersion: 4, streaming: 'parallel', twoPhase: true })
  return options
}

async function startStream(db: TestDatabase, capture: CaptureOptions): Promise<PgoutputStream> {
  const { protocolVersion, streaming, twoPhase } = capture
  const slot = `v${protocolVersion}_${streaming}`
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput', false, $2)", [slot, twoPhase])
  return PgoutputStream.start(db, slot, {
    proto_version: `${protocolVersion}`,
    publication_names: 'scenario',
    messages: 'true',
    ...(streaming !== 'off' && { streaming }),
    ...(twoPhase && { two_phase: 'on' }),
  })
}

async function run(db: TestDatabase, streams: readonly PgoutputStream[]): Promise<void> {
  const second = await db.connect()
  const third = await db.connect()
  let waits = 0
  for (const statement of [...CHANGES.split(/;\n/), 'wait']) {
    const [, session, sql] = /^\s*(2:)?(.*)$/s.exec(statement)!
    if (sql !== 'wait') {
      await (session === undefined ? db.client : second).query(sql!)
      continue
    }
    waits += 1
    // a commit flushes what open transactions have written, too; without one the walsender would not see it
    await third.query("SELECT pg_logical_emit_message(true, 'wait', $1)", [`wait ${waits}.`])
    await Promise.all(streams.map((stream) => stream.received(`wait ${waits}.`)))
  }
}

/**
 * What a consumer is to see of the events, a line each: transactions in the order of their commits, without what was
 * rolled back. The same whatever the protocol's version and options.
 */
export function committedLines(events: readonly PgoutputEvent[]): string {
  const lines: string[] = []
  const streamed = new Map<number, { xid: number; line: string }[]>()
  const prepared = new Map<string, string[]>()
  let open: { xid: number; line: string }[] = []
  const asLines = (changes: { line: string }[]) => ['begin', ...changes.map(({ line }) => `  ${line}`), 'commit']
  for (const event of events) {
    switch (event.kind) {
      case 'begin':
      case 'beginPrepare':
        open = []
        break
      case 'commit':
        if (open.length > 0) lines.push(...asLines(open)) // 14 sends empty transactions, too
        break
      case 'prepare':
        prepared.set(event.gid, asLines(open))
        break
      case 'streamStart':
        if (event.first) streamed.set(event.xid, [])
        open = streamed.get(event.xid)!
        break
      case 'streamStop':
        open = []
        break
      case 'streamAbort':
        cutBack(streamed.get(event.xid)!, event.subxid)
        if (event.subxid === event.xid) streamed.delete(event.xid)
        break
      case 'streamCommit':
        lines.push(...asLines(streamed.get(event.xid)!))
        streamed.delete(event.xid)
        break
      case 'streamPrepare':
        prepared.set(event.gid, asLines(streamed.get(event.xid)!))
        streamed.delete(event.xid)
        break
      case 'commitPrepared':
        lines.push(...prepared.get(event.gid)!)
        prepared.delete(event.gid)
        break
      case 'rollbackPrepared':
        prepared.delete(event.gid)
        break
      case 'relation':
      case 'type':
        break
      case 'message':
        if (event.transactional) open.push({ xid: event.xid, line: formatChange(event) })
        else lines.push(formatChange(event))
        break
      case 'origin':
        open.push({ xid: 0, line: formatChange(event) })
        break
      default:
        open.push({ xid: event.xid, line: formatChange(event) })
    }
  }
  if (streamed.size > 0 || prepared.size > 0) throw new Error('transactions were left open')
  return `${lines.join('\n')}\n`
}

/**
 * As PostgreSQL's own subscriber does it: what came since the first change of a sub-transaction is its own, or of others
 * rolled back with it. To look at each change's xid is not enough: a Message always has the top-level transaction's.
 */
function cutBack(changes: { xid: number; line: string }[], subxid: number): void {
  const first = changes.findIndex(({ xid }) => xid === subxid)
  if (first !== -1) changes.length = first
}

type Change = Extract<PgoutputEvent, { kind: 'insert' | 'update' | 'delete' | 'truncate' | 'message' | 'origin' }>

function formatChange(event: Change): string {
  switch (event.kind) {
    case 'insert':
      return `insert ${named(event.relation)} ${tuple(event.relation, event.new)}`
    case 'update': {
      const old = event.oldKind === '' ? '' : `${event.oldKind} ${tuple(event.relation, event.old)} -> `
      return `update ${named(event.relation)} ${old}${tuple(event.relation, event.new)}`
    }
    case 'delete':
      return `delete ${named(event.relation)} ${event.oldKind} ${tuple(event.relation, event.old)}`
    case 'truncate':
      return `truncate ${event.relations.map(named).join(', ')} options ${event.options}`
    case 'message':
      return `message "${event.prefix}" ${text(event.content)}${event.transactional ? '' : ' at once'}`
    case 'origin':
      return `origin "${event.name}"`
  }
}

function named(relation: PlainRelation): string {
  return `${relation.schema}.${relation.name}`
}

function tuple(relation: PlainRelation, values: PlainTuple): string {
  return `{${relation.columns.map(({ name }, column) => `${name}: ${text(values[column])}`).join(', ')}}`
}

/** Long runs of one character are shortened. */
function text(value: string | null | undefined): string {
  if (value === null) return 'NULL'
  if (value === undefined) return 'unchanged'
  const characters = JSON.stringify(Buffer.from(value, 'latin1').toString())
  return characters.replace(/(.)\1{99,}/g, (run, character) => `${character}*${run.length}`)
}
