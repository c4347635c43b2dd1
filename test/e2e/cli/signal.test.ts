import { once } from 'node:events'
import { chmod, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from '../../../src/cli/control/controlServer.js'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { configureLog } from '../../../src/cli/log.js'
import { KEY_TABLE_UNKNOWN } from '../../../src/core/errors.js'
import { ControlledSource } from '../../support/controlledSource.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, type TailraceProcess, tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
  configureLog({ format: 'text', level: 'error' })
})
afterAll(() => server[Symbol.asyncDispose]())

const SHOP = `
  CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE "Odd, name" (id int PRIMARY KEY);
  INSERT INTO orders VALUES (1)`

async function status(...name: readonly string[]) {
  const { code, stdout, stderr } = await tailraceHere(['signal', 'status', ...name, '--json'])
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout) as Record<string, unknown>
}

async function permissions(path: string): Promise<number> {
  return (await lstat(path)).mode & 0o777
}

async function ended(running: TailraceProcess, signal: NodeJS.Signals): Promise<unknown> {
  running.kill(signal)
  return await running.ended
}

test('status tells what a run does, from its beginning on', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const state = join(folder.path, 'shop.state')
  await db.query('BEGIN; INSERT INTO orders VALUES (2)')
  const output = ['--output', join(folder.path, 'out')]
  await using running = startTailrace(streamArgs(db, 'orders,"Odd, name"', '--state', state, ...output))
  await running.says('waiting for running transactions')
  expect(await status('--state', state)).toMatchObject({
    pid: running.pid,
    phase: 'starting',
    waitingFor: expect.stringContaining('waiting for running transactions'),
    tables: expect.arrayContaining(['public.orders', 'public."Odd, name"']),
    lsn: null,
  })
  await db.query('COMMIT')
  await running.says('streaming from')
  await db.query('INSERT INTO orders VALUES (3)')
  await running.waitFor(async () => (await status('--state', state)).records === 1, 'the record is counted')
  expect(await status('--state', state)).toMatchObject({
    phase: 'streaming',
    waitingFor: null,
    database: db.name,
    slot: `tailrace_${db.name}`,
    scanning: [],
    lsn: expect.stringMatching(/^[\dA-F]+\/[\dA-F]+$/),
  })
  const { stdout } = await tailraceHere(['signal', 'status'], { env: { TAILRACE_STATE: state } })
  expect(stdout).toMatch(
    new RegExp(`^run +pid ${running.pid}, tailrace .*\nphase +streaming\ndatabase +${db.name} on P`),
  )
  expect(await ended(running, 'SIGTERM')).toEqual({ code: 0, signal: null })
})

test.each(['SIGTERM', 'SIGINT'] as const)('the socket is for its user only, and %s removes it', async (signal) => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const state = join(folder.path, 'shop.state')
  await using running = startTailrace(streamArgs(db, 'orders', '--state', state))
  await running.says('streaming from')
  expect(await permissions(`${state}.sock`)).toBe(0o600)
  expect(await ended(running, signal)).toEqual({ code: 0, signal: null })
  expect(await readdir(folder.path)).toEqual(['shop.state'])
})

test('the socket of a killed run answers nobody, and the next run takes it over', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const path = join(folder.path, 'control.sock')
  for (const name of [
    ['--state', join(folder.path, 'state')],
    ['--control', path, '--slot', 'killed'],
  ]) {
    const args = streamArgs(db, 'orders', '--snapshot', 'never', ...name)
    const asked = name.slice(0, 2)
    await using killed = startTailrace(args)
    await killed.says('streaming from')
    await ended(killed, 'SIGKILL')
    // As one leaves it who is killed while the state is written.
    if (name[0] === '--state') await writeFile(`${name[1]}.tmp`, '{"version":1,"pos')
    const nobody = await tailraceHere(['signal', 'status', ...asked])
    expect(nobody).toMatchObject({ code: 1, stderr: expect.stringMatching(/RUN_NOT_FOUND: .*--tables/) })
    await using next = startTailrace(args)
    await next.says('streaming from')
    expect(await status(...asked)).toMatchObject({ pid: next.pid })
    expect(await ended(next, 'SIGTERM')).toEqual({ code: 0, signal: null })
  }
  expect(await readdir(folder.path)).toEqual(['state'])
})

test('of two runs with one --control the second does not begin, and the first goes on', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const control = ['--control', join(folder.path, 'c')]
  await using first = startTailrace(streamArgs(db, 'orders', ...control))
  await first.says('streaming from')
  const second = await tailraceHere(streamArgs(db, 'orders', ...control))
  expect(second).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(new RegExp(`CONTROL_IN_USE: .* by process ${first.pid}\\. .*--no-control`)),
  })
  expect(await status(...control)).toMatchObject({ pid: first.pid })
  expect(await ended(first, 'SIGTERM')).toEqual({ code: 0, signal: null })
})

test('the socket of some other program stands, and is not spoken to', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'c')
  const other = createServer((socket) => socket.on('error', () => {})).listen(path)
  await once(other, 'listening')
  const { code, stderr } = await tailraceHere(streamArgs(db, 'orders', '--control', path))
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/CONTROL_IN_USE: .* by another program/) })
  expect((await lstat(path)).isSocket()).toBe(true)
  other.close()
})

test('a run that has the usual place already keeps it, and the other one goes on without', async () => {
  await using one = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  await using other = await startServer()
  await using two = await testDatabase(other, SHOP)
  one.expectSlots = true
  two.expectSlots = true
  const env = { XDG_RUNTIME_DIR: folder.path }
  const args = ['--slot', 'same', '--snapshot', 'never']
  await using first = startTailrace(streamArgs(one, 'orders', ...args), { env })
  await first.says('streaming from')
  await using second = startTailrace(streamArgs(two, 'orders', ...args), { env })
  await second.says('streaming from')
  expect(second.stderr).toMatch(/warning: CONTROL_IN_USE: .*this run takes no signals/)
  const asked = await tailraceHere(['signal', 'status', '--slot', 'same', '--json'], { env })
  expect(JSON.parse(asked.stdout)).toMatchObject({ pid: first.pid, database: one.name })
})

test('by its slot a run is found in a folder that nobody else may enter, from a shell without that folder too', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const env = { TMPDIR: folder.path }
  await using running = startTailrace(streamArgs(db, 'orders', '--slot', 'nightly', '--snapshot', 'never'), { env })
  await running.says('streaming from')
  const own = join(folder.path, `tailrace-${process.getuid!()}`)
  expect(await permissions(own)).toBe(0o700)
  const { code, stdout } = await tailraceHere(['signal', 'status', '--slot', 'nightly'], {
    env: { ...env, XDG_RUNTIME_DIR: join(folder.path, 'none') },
  })
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('slot      nightly\n') })
})

test('a folder that others may enter, or a link to one, is not used', async () => {
  await using folder = await temporaryFolder()
  await mkdir(join(folder.path, 'open'))
  await chmod(join(folder.path, 'open'), 0o755)
  const args = ['stream', '--url', 'postgres://u@192.0.2.1:1/d?connect_timeout=2', '--tables', 't', '--slot', 's']
  await mkdir(join(folder.path, 'a', 'tailrace'), { recursive: true, mode: 0o755 })
  await mkdir(join(folder.path, 'b'))
  await symlink(join(folder.path, 'open'), join(folder.path, 'b', 'tailrace'))
  for (const name of ['a', 'b']) {
    await using running = startTailrace(args, { env: { XDG_RUNTIME_DIR: join(folder.path, name) } })
    await running.says('CONTROL_FAILED')
    expect(running.stderr).toMatch(/is open to other users; this run takes no signals/)
  }
})

test('another file at the place of the socket stands, and the run says so', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'precious')
  await writeFile(path, 'data')
  const explicit = await tailraceHere(streamArgs(db, 'orders', '--control', path))
  expect(explicit).toMatchObject({ code: 1, stderr: expect.stringMatching(/CONTROL_FAILED: .*another file/) })
  await writeFile(join(folder.path, 'state.sock'), 'data')
  const args = streamArgs(db, 'orders', '--state', join(folder.path, 'state'), '--snapshot', 'only')
  const usual = await tailraceHere(args)
  expect(usual).toMatchObject({ code: 0, stderr: expect.stringMatching(/warning: CONTROL_FAILED: .*takes no signals/) })
  expect(usual.records).toHaveLength(1)
  expect((await readdir(folder.path)).sort()).toEqual(['precious', 'state', 'state.sock'])
  const missing = await tailraceHere(streamArgs(db, 'orders', '--control', join(folder.path, 'no', 'such')))
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('CONTROL_FAILED: ') })
})

test.each([['--no-control'], ['TAILRACE_NO_CONTROL=1']])('%s: nobody can ask', async (how) => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const state = join(folder.path, 'state')
  const args = streamArgs(db, 'orders', '--state', state, ...(how.startsWith('--') ? [how] : []))
  await using running = startTailrace(args, { env: how.startsWith('--') ? {} : { TAILRACE_NO_CONTROL: '1' } })
  await running.says('streaming from')
  // It may be writing its state just now.
  const files = (await readdir(folder.path)).filter((name) => name !== 'state.tmp')
  expect(files.sort()).toEqual(['state', 'state.lock'])
  expect((await tailraceHere(['signal', 'status', '--state', state])).code).toBe(1)
})

test('a run that is stopped is told from one that is gone', { timeout: 120_000 }, async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const control = ['--control', join(folder.path, 'c')]
  await using running = startTailrace(streamArgs(db, 'orders', ...control))
  await running.says('streaming from')
  running.kill('SIGSTOP')
  const { code, stderr } = await tailraceHere(['signal', 'status', ...control])
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/SIGNAL_UNANSWERED: .*nothing came for 10 s/),
  })
  running.kill('SIGCONT')
  expect(await status(...control)).toMatchObject({ pid: running.pid })
})

/** The command against a run whose source the test plays. */
async function played(folder: string) {
  const path = join(folder, 'played.sock')
  const control = (await ControlServer.open({ control: path }))!
  const source = new ControlledSource()
  const attached = control.attach(source)
  const call = async () => {
    await waitFor(() => source.calls.length > 0, { what: 'the call' })
    return source.calls.shift()!
  }
  const close = async () => {
    source.end()
    await attached
    await control[Symbol.asyncDispose]()
  }
  return { path, source, call, [Symbol.asyncDispose]: close }
}

test('add, remove and resnapshot say what was done', async () => {
  await using folder = await temporaryFolder()
  await using run = await played(folder.path)
  const name = ['--control', run.path]
  const done = async (args: readonly string[], call: string, tables: readonly string[]) => {
    const asked = tailrace(['signal', ...args, ...name])
    const called = await run.call()
    expect(called.call).toBe(call)
    called.end.resolve(tables)
    const { code, stdout, stderr } = await asked
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }
  const names = ['public.orders', 'public."Odd, name"']
  expect(await done(['add', 'orders', '"Odd, name"'], 'addTables orders,"Odd, name"', names)).toBe(
    'Added public.orders, public."Odd, name".\n',
  )
  expect(await done(['add', 'orders'], 'addTables orders', [])).toBe('Nothing to add: they are captured already.\n')
  expect(await done(['remove', 'a.*,b', '--json'], 'removeTables a.*,b', ['a.x'])).toBe(
    '{\n  "tables": [\n    "a.x"\n  ]\n}\n',
  )
  expect(
    await done(['resnapshot', '--where', 'id > 100', 'orders'], 'resnapshot orders {"where":"id > 100"}', []),
  ).toContain('Reading the rows of orders once more')
})

test('what the run refuses is told as the run’s own errors are, with exit code 1', async () => {
  await using folder = await temporaryFolder()
  await using run = await played(folder.path)
  const asked = tailrace(['signal', 'add', 'orders', '--control', run.path])
  const { end } = await run.call()
  // Wrong usage for a run, whose options it judges; here it judges what a signal asks.
  const error = KEY_TABLE_UNKNOWN({ selection: 'orders:id', tables: ['public.customers'] })
  end.reject(error)
  expect(await asked).toMatchObject({
    code: 1,
    stdout: '',
    stderr: `tailrace: ${error.code}: ${error.message}. ${error.hint}\n`,
  })
})

test.each([
  ['nothing says which run', ['status'], /OPTION_MISSING: nothing says which run.*--state <file>/],
  ['a name that cannot be read', ['add', '--state', 's', 'a,'], /TABLE_PATTERN_INVALID/],
  ['several tables to resnapshot', ['resnapshot', '--state', 's', 'a,b'], /OPTION_INVALID: .*one table.*'a,b'/],
  ['a pattern to resnapshot', ['resnapshot', '--state', 's', 'a.*'], /OPTION_INVALID: .*one table/],
  ['an unknown command', ['resnapshoot', '--state', 's', 'a'], /COMMAND_UNKNOWN: .*resnapshot\?/],
  ['no table', ['add', '--state', 's'], /OPTION_MISSING: .*tables/],
])('%s is wrong usage', async (_, args, says) => {
  const { code, stdout, stderr } = await tailraceHere(['signal', ...args])
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(says) })
})
