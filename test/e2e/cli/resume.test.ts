import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { type TemporaryFolder, temporaryFolder } from '../../support/temporaryFolder.js'
import { recordsIn, streamArgs, summary } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1), (2)'

interface Resumable {
  readonly output: string
  readonly state: string
  /** Up to what is committed now. */
  readonly args: readonly string[]
}

function resumable(db: TestDatabase, folder: TemporaryFolder): Resumable {
  db.expectSlots = true
  const output = join(folder.path, 'out.ndjson')
  const state = join(folder.path, 'out.state')
  return { output, state, args: streamArgs(db, 't', '--output', output, '--state', state, '--until', 'current') }
}

/** Runs it; its exit code must be 0. */
async function run(args: readonly string[]): Promise<string> {
  const { code, stderr, stdout } = await tailraceHere(args)
  expect(code, stderr).toBe(0)
  return stdout
}

/** Runs it; it must end with an error. */
async function refused(args: readonly string[]): Promise<string> {
  const { code, stderr, stdout } = await tailraceHere(args)
  expect({ code, stdout }, stderr).toEqual({ code: 1, stdout: '' })
  return stderr
}

describe.concurrent('--state with --output', () => {
  test('goes on where the last run ended: rows once, then only what is new', async () => {
    await using db = await testDatabase(server, TABLE)
    await using folder = await temporaryFolder()
    const { args, output, state } = resumable(db, folder)
    expect(await run(args)).toBe('')
    await db.query('INSERT INTO t VALUES (3); UPDATE t SET id = 4 WHERE id = 1')
    await run(args)
    const expected = ['snapshot 1', 'snapshot 2', 'create 3', 'update 4']
    expect(summary(await recordsIn(output))).toEqual(expected)
    await run(args)
    expect(summary(await recordsIn(output))).toEqual(expected)
    expect(
      await db.query('SELECT slot_name, temporary, active FROM pg_replication_slots WHERE database = $1', [db.name]),
    ).toEqual([{ slot_name: `tailrace_${db.name}`, temporary: false, active: false }])
    expect(await db.query('SELECT pubname FROM pg_publication')).toEqual([{ pubname: 'tailrace' }])
    expect(JSON.parse(await readFile(state, 'utf8'))).toMatchObject({
      version: 1,
      position: { version: 1, database: db.name, slot: `tailrace_${db.name}` },
      output: { file: output, start: 0, bytes: (await readFile(output)).length },
    })
  })

  test('cuts off what a killed run wrote behind its last state, torn line and all', async () => {
    await using db = await testDatabase(server, TABLE)
    await using folder = await temporaryFolder()
    const { args, output } = resumable(db, folder)
    await run(args)
    await appendFile(output, '{"operation":"create","id":"written, not recorded"}\n{"operation":"cre')
    await db.query('INSERT INTO t VALUES (3)')
    await run(args)
    expect(summary(await recordsIn(output))).toEqual(['snapshot 1', 'snapshot 2', 'create 3'])
  })

  test('begins the snapshot again where it began, behind what stood in the file before', async () => {
    await using db = await testDatabase(server, TABLE)
    await using folder = await temporaryFolder()
    const { args, output, state } = resumable(db, folder)
    await db.query(`INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(3, 60000) i`)
    await writeFile(output, '{"operation":"earlier","id":"0"}\n{"operation":"to')
    const killed = startTailrace(args)
    const bytes = async () => (await readFile(output)).length
    await killed.waitFor(async () => (await bytes()) > 200_000, 'some rows are written', { intervalMs: 2 })
    killed.kill('SIGKILL')
    await killed.ended
    const { position, output: written } = JSON.parse(await readFile(state, 'utf8'))
    expect([position === null || 'snapshot' in position, written.start]).toEqual([true, 33])
    await run(args)
    const records = await recordsIn(output)
    expect(records[0]).toEqual({ operation: 'earlier', id: '0' })
    expect(new Set(records.map(({ id }) => id)).size).toBe(60_001)
    expect(records).toHaveLength(60_001)
  })

  test('a run over empty tables that is killed when it has just made its slot begins again', async () => {
    await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
    await using folder = await temporaryFolder()
    const { args, output } = resumable(db, folder)
    await using killed = startTailrace(args.slice(0, -2))
    const made = () => db.query('SELECT FROM pg_replication_slots WHERE database = $1 AND NOT temporary', [db.name])
    await killed.waitFor(async () => (await made()).length > 0, 'the slot is there', { intervalMs: 1 })
    killed.kill('SIGKILL')
    await killed.ended
    await db.query('INSERT INTO t VALUES (1)')
    await run(args)
    expect((await recordsIn(output)).map(({ key }) => key!.id)).toEqual([1])
  })

  test('without --output an interrupted run sends again what was not recorded, in whole lines', async () => {
    await using db = await testDatabase(server, TABLE)
    await using folder = await temporaryFolder()
    const { state } = resumable(db, folder)
    const args = streamArgs(db, 't', '--state', state, '--until', 'current')
    await run(args)
    await db.query('INSERT INTO t VALUES (3)')
    await using killed = startTailrace(args.slice(0, -2))
    await killed.waitFor(() => killed.collected.includes('\n'), 'the new row is written', { intervalMs: 2 })
    killed.kill('SIGKILL')
    await killed.ended
    const again = (await tailraceHere(args)).records
    expect([...new Set(summary([...killed.records, ...again]))]).toEqual(['create 3'])
    expect(await run(args)).toBe('')
  })
})

test.concurrent('without --state a torn last line of --output is cut off, and new lines follow', async () => {
  await using db = await testDatabase(server, TABLE)
  await using folder = await temporaryFolder()
  const output = join(folder.path, 'out.ndjson')
  await writeFile(output, '{"operation":"earlier","id":"0"}\n{"torn')
  await run(streamArgs(db, 't', '--snapshot', 'only', '--output', output))
  expect((await recordsIn(output)).map(({ operation }) => operation)).toEqual(['earlier', 'snapshot', 'snapshot'])
})

describe('a state that does not fit is refused, and nothing is touched:', () => {
  let folder: TemporaryFolder
  let db: TestDatabase
  let made: Resumable
  let good: string
  beforeAll(async () => {
    folder = await temporaryFolder()
    db = await testDatabase(server, TABLE)
    made = resumable(db, folder)
    await run(made.args)
    good = await readFile(made.state, 'utf8')
  })
  afterAll(async () => {
    await db[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  /** Runs with this in the state file; gives what it said, and checks that state and output stay as they are. */
  async function refusedWith(state: string, args: readonly string[] = made.args): Promise<string> {
    await writeFile(made.state, state)
    const output = await readFile(made.output, 'utf8')
    const said = await refused(args)
    expect(await readFile(made.state, 'utf8')).toBe(state)
    expect(await readFile(made.output, 'utf8')).toBe(output)
    await writeFile(made.state, good)
    expect(said).toMatch(/^tailrace: [A-Z_]+: .*\n$/)
    return said
  }

  function withPosition(changes: object): string {
    const state = JSON.parse(good)
    return JSON.stringify({ ...state, position: { ...state.position, ...changes } })
  }

  test('an empty, a torn, a damaged one', async () => {
    expect(await refusedWith('')).toContain('STATE_CORRUPT')
    expect(await refusedWith(good.slice(0, 40))).toContain('STATE_CORRUPT')
    expect(await refusedWith(withPosition({ lsn: 'x' }))).toContain('STATE_CORRUPT')
  })

  test('of another output', async () => {
    const other = join(folder.path, 'other.ndjson')
    expect(
      await refusedWith(
        good,
        made.args.map((arg) => (arg === made.output ? other : arg)),
      ),
    ).toContain('STATE_MISMATCH')
    const toStdout = streamArgs(db, 't', '--state', made.state)
    expect(await refusedWith(good, toStdout)).toContain('STATE_MISMATCH')
  })

  test('with an output that is shorter than it was', async () => {
    const output = await readFile(made.output, 'utf8')
    await truncate(made.output, 10)
    expect(await refused(made.args)).toContain('STATE_MISMATCH')
    await writeFile(made.output, output)
  })

  test('of another server, database, slot or history', async () => {
    expect(await refusedWith(withPosition({ system: '1' }))).toContain('POSITION_OTHER_SERVER')
    expect(await refusedWith(withPosition({ database: 'other' }))).toContain('POSITION_OTHER_DATABASE')
    expect(await refusedWith(withPosition({ timeline: 9 }))).toContain('TIMELINE_BEHIND')
    expect(await refusedWith(good, [...made.args, '--slot', 'other'])).toContain('POSITION_OTHER_SLOT')
    expect(await refusedWith(withPosition({ slot: null }))).toContain('POSITION_NOT_RESUMABLE')
  })

  test('with a slot that somebody else has moved, or dropped', async () => {
    await db.query('INSERT INTO t VALUES (100)')
    await db.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [`tailrace_${db.name}`])
    expect(await refusedWith(good)).toContain('SLOT_AHEAD')
    await db.query('SELECT pg_drop_replication_slot($1)', [`tailrace_${db.name}`])
    expect(await refusedWith(good)).toContain('SLOT_MISSING')
  })

  test('a lost state whose slot is still there', async () => {
    await using other = await testDatabase(server, TABLE)
    await using otherFolder = await temporaryFolder()
    const { args } = resumable(other, otherFolder)
    await run(args)
    const withoutState = args.map((arg) => arg.replace('out.', 'new.'))
    expect(await refused(withoutState)).toContain('SLOT_EXISTS')
  })

  test('one that cannot be written', async () => {
    const args = streamArgs(db, 't', '--state', join(folder.path, 'no', 'such', 'folder', 'state'))
    expect(await refused(args)).toContain('STATE_FAILED')
    expect(await refused(streamArgs(db, 't', '--state', folder.path))).toContain('STATE_FAILED')
  })
})
