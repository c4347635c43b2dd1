import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findNative } from '../../../src/cli/embedded/binaries.js'
import { cliPath } from '../../support/cli.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { asRoot, isRunning, NOBODY, runsAsNobody } from '../../support/processes.js'
import { binariesOf, DEFAULT_MAJOR } from '../../support/servers.js'
import { startTailrace, type TailraceProcess } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

const packageFolder = findNative(binariesOf(DEFAULT_MAJOR))
const SUMMARY = /^saw ([\d,]+) snapshot records and ([\d,]+) change records in (\d+\.\d) s$/
/** The first change of a transaction, or a further one. */
const CHANGE_LINE = /^ *\d* [┬│] /

describe('tailrace demo', () => {
  test('ends by itself after --seconds, says how much it saw, and leaves nothing', async () => {
    await using temporary = await temporaryFolder()
    await using demo = startDemo(['--seconds', '5', '--rate', '10'], temporary.path)
    expect(await demo.ended).toEqual({ code: 0, signal: null })
    expect(demo.stderr).toBe('')
    const { snapshotRecords, changeRecords, seconds } = summaryOf(demo.collected)
    expect(snapshotRecords).toBeGreaterThan(1000)
    expect(changeRecords).toBeGreaterThan(0)
    expect(seconds).toBeGreaterThanOrEqual(5)
    const lines = demo.collected.split('\n')
    expect(lines.filter((line) => CHANGE_LINE.test(line))).toHaveLength(changeRecords)
    for (const operation of ['create', 'update', 'delete', 'schema', 'message']) {
      expect(lines.filter((line) => CHANGE_LINE.test(line) && line.includes(` ${operation} `))).not.toEqual([])
    }
    expect(demo.collected).not.toContain('\x1b')
    expect(await readdir(temporary.path)).toEqual([])
  })

  test('ends in order at Ctrl-C', async () => {
    await using temporary = await temporaryFolder()
    await using demo = startDemo([], temporary.path)
    await streaming(demo)
    const server = await serverIn(temporary.path)
    demo.kill('SIGINT')
    expect(await demo.ended).toEqual({ code: 0, signal: null })
    expect(demo.stderr).toBe('')
    expect(summaryOf(demo.collected).changeRecords).toBeGreaterThan(0)
    expect(isRunning(server)).toBe(false)
    expect(await readdir(temporary.path)).toEqual([])
  })

  test('is gone at once at a second signal, and its server soon after', async () => {
    await using temporary = await temporaryFolder()
    await using demo = startDemo([], temporary.path)
    await streaming(demo)
    const server = await serverIn(temporary.path)
    demo.kill('SIGINT')
    demo.kill('SIGTERM')
    // Two that are pending at once come in no particular order.
    expect(await demo.ended).toEqual({ code: expect.toBeOneOf([130, 143]), signal: null })
    await waitFor(() => !isRunning(server), { what: 'the server to end' })
    await waitFor(async () => (await readdir(temporary.path)).length === 0, { what: 'its folder to be removed' })
  })

  test('ends quietly when nobody reads any more', async () => {
    await using temporary = await temporaryFolder()
    await using demo = startDemo([], temporary.path, { output: 'unread' })
    await once(demo.stdout, 'data')
    demo.stdout.destroy()
    expect(await demo.ended).toEqual({ code: 141, signal: null })
    expect(demo.stderr).toBe('')
    expect(await readdir(temporary.path)).toEqual([])
  })

  test('shows what others do to the shop, by the URL it prints, and survives it', async () => {
    await using temporary = await temporaryFolder()
    await using demo = startDemo([], temporary.path, { env: { FORCE_COLOR: '1' } })
    await streaming(demo)
    expect(demo.collected).toContain('\x1b[32mcreate')
    const url = /postgresql:\S+/.exec(demo.collected)![0]
    {
      await using session = await openSession(url, { settings: { search_path: 'public' } })
      await session.query(`UPDATE products SET name = E'Mug\\x1b[5m', price = 1 WHERE sku = 'MUG-RED'`)
      await session.query('DROP TABLE carts')
    }
    await demo.waitFor(() => shown(demo).includes('→ Mug\\x1b[5m  price 12.50 → 1.00'), 'our change')
    await demo.waitFor(() => shown(demo).includes('relation "carts" does not exist'), 'the shop to miss its table')
    const before = shown(demo).length
    await demo.waitFor(() => CHANGE_LINE.test(shown(demo).slice(before).split('\n')[1] ?? ''), 'more changes')

    // The superuser could run programs as us.
    const superuser = openSession(`${urlAs(url, 'postgres')}?sslmode=disable`)
    await expect(superuser).rejects.toMatchObject({ code: 'LOGIN_REFUSED' })
    demo.kill('SIGTERM')
    expect(await demo.ended).toEqual({ code: 0, signal: null })
  })

  test('works as an ordinary user', async ({ skip }) => {
    // Whoever is not root has shown it in the tests above.
    skip(!asRoot, 'only root can become another user')
    const look = [packageFolder, cliPath].map((path) => `require('fs').accessSync(${JSON.stringify(path)})`).join(';')
    skip(!(await runsAsNobody(look)), `user ${NOBODY} cannot run this Node or read this repository`)
    await using temporary = await temporaryFolder()
    await chown(temporary.path, NOBODY, NOBODY)
    const demo = spawn(process.execPath, [cliPath, 'demo', '--seconds', '2'], {
      cwd: '/',
      env: { PATH: process.env.PATH, TMPDIR: temporary.path },
      uid: NOBODY,
      gid: NOBODY,
    })
    onTestFinished(() => void demo.kill('SIGKILL'))
    const [output, errors, [code]] = await Promise.all([text(demo.stdout), text(demo.stderr), once(demo, 'exit')])
    expect(errors).toBe('')
    expect(code).toBe(0)
    expect(summaryOf(output).changeRecords).toBeGreaterThan(0)
    expect(await readdir(temporary.path)).toEqual([])
  })

  test.each([
    ['--seconds', '0'],
    ['--seconds', 'soon'],
    ['--rate', '-1'],
  ])('refuses %s %s', async (name, value) => {
    await using demo = startDemo([name, value], '/tmp')
    expect((await demo.ended).code).toBe(2)
    expect(demo.stderr).toContain('above 0')
  })
})

function startDemo(
  args: readonly string[],
  temporary: string,
  { env = {}, output = 'collect' }: { env?: Record<string, string>; output?: 'collect' | 'unread' } = {},
): TailraceProcess {
  // About somebody's own server: the demo has another.
  const variables = { PGHOSTADDR: '192.0.2.1', PGOPTIONS: '-c nonsense=1', PGTARGETSESSIONATTRS: 'standby' }
  return startTailrace(['demo', ...args], { env: { TMPDIR: temporary, ...variables, ...env }, output })
}

/** Waits for the first change. */
async function streaming(demo: TailraceProcess): Promise<void> {
  await demo.waitFor(
    () =>
      shown(demo)
        .split('\n')
        .some((line) => CHANGE_LINE.test(line)),
    'the first change',
    { timeoutMs: 30_000 },
  )
}

/** The output without its colours. */
function shown(demo: TailraceProcess): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return demo.collected.replace(/\x1b\[\d+m/g, '')
}

function summaryOf(output: string): { snapshotRecords: number; changeRecords: number; seconds: number } {
  const last = output.trimEnd().split('\n').at(-1)!
  expect(last).toMatch(SUMMARY)
  const [snapshotRecords, changeRecords, seconds] = SUMMARY.exec(last)!
    .slice(1)
    .map((one) => Number(one.replace(',', '')))
  return { snapshotRecords: snapshotRecords!, changeRecords: changeRecords!, seconds: seconds! }
}

/** The server's first process, once it is there. */
async function serverIn(temporary: string): Promise<number> {
  const [folder] = await readdir(temporary)
  if (folder === undefined) return 0
  const file = await readFile(join(temporary, folder, 'data', 'postmaster.pid'), 'utf8').catch(() => '0')
  return Number(file.split('\n')[0])
}
