import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { publicationsOf, slotsOf } from '../../support/sourceSlots.js'
import { tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test.concurrent('nothing blocks: exit code 0, with warnings; the run that it was asked about goes through', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE orders (id int PRIMARY KEY, note text)')
  const { code, stdout, stderr } = await tailrace(['doctor', '--url', db.url, '--tables', 'orders'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^postgres:\/\/postgres@127\.0\.0\.1:\d+\/\S+ \(PostgreSQL\)\n\nConnection\n/)
  expect(stdout).toMatch(/\n {2}ok {6}public\.orders: key \(id\), its primary key; replica identity default\n/)
  expect(stdout).toMatch(/\n0 problems, \d warnings?, \d+ checks passed\n$/)
  expect(stdout).not.toContain('\x1b')
  expect(await slotsOf(db)).toEqual([])
  expect(await publicationsOf(db)).toEqual([])
  expect((await tailraceHere(streamArgs(db, 'orders', '--until', 'current'))).code).toBe(0)
})

test.concurrent('something blocks: exit code 1, told with code and SQL, and the run would fail too', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE log (v text)')
  const args = ['--url', db.url, '--tables', 'log,lgo']
  const { code, stdout, stderr } = await tailraceHere(['doctor', ...args])
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
  expect(stdout).toMatch(/PROBLEM no table is named lgo \[TABLE_NOT_FOUND\]\n.*\n +Did you mean public\.log\?/)
  expect(stdout).toMatch(
    /\[REPLICA_IDENTITY_MISSING\]\n.*\n +ALTER TABLE public\.log REPLICA IDENTITY FULL;\n +Or give --keyless inserts/,
  )
  expect(stdout).toMatch(/\n2 problems, \d warnings?, \d+ checks passed\n$/)
  expect((await tailraceHere(streamArgs(db, 'log', '--until', 'current'))).code).toBe(1)
})

test.concurrent('JSON is one document, options come from variables, and the platform may be said', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE log (v text)')
  const env = {
    TAILRACE_URL: db.url,
    TAILRACE_TABLES: 'log',
    TAILRACE_JSON: '1',
    TAILRACE_KEYLESS: 'inserts',
    TAILRACE_PLATFORM: 'rds',
  }
  const { code, stdout, stderr } = await tailraceHere(['doctor'], { env })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const report = JSON.parse(stdout)
  expect(Object.keys(report)).toEqual(['server', 'platform', 'problems', 'warnings', 'passed', 'findings'])
  expect(report).toMatchObject({ platform: 'rds', problems: 0 })
  expect(report.findings).toHaveLength(report.problems + report.warnings + report.passed)
  const keep = report.findings.find((one: { code: string }) => one.code === 'MAX_SLOT_WAL_KEEP_SIZE')
  expect(keep).toMatchObject({ group: 'slots', status: 'warning', mend: [{ kind: 'command' }, {}, {}] })
  expect(keep.mend[0].text).toMatch(/^aws rds modify-db-parameter-group /)
  expect(report.findings).toContainEqual(expect.objectContaining({ code: 'KEYLESS_INSERTS', status: 'warning' }))
})

test.concurrent('colour is forced and forbidden by the usual variables', async () => {
  await using db = await testDatabase(server)
  const coloured = async (env: Record<string, string>) =>
    (await tailraceHere(['doctor', '--url', db.url], { env })).stdout.includes('\x1b[32m')
  expect(await coloured({ FORCE_COLOR: '1' })).toBe(true)
  expect(await coloured({ NO_COLOR: '1' })).toBe(false)
})

test.concurrent('a server that is not there, and a password that is never shown', async () => {
  const { code, stdout, stderr } = await tailraceHere(['doctor', '--url', 'postgres://u:s3cret@127.0.0.1:1/d'])
  expect(code).toBe(1)
  expect(stdout).toContain('[CONNECTION]')
  expect(stdout).toContain('2 problems, 0 warnings, 0 checks passed')
  expect(stdout + stderr).not.toContain('s3cret')
})

const NOWHERE = 'postgres://u:s3cret@192.0.2.1:1/d'

test.concurrent.each<[string, string[], RegExp]>([
  ['no URL', [], /CONNECTION_MISSING: /],
  [
    'an unknown platform',
    ['--url', NOWHERE, '--platform', 'heroku'],
    /'--platform <name>'.*Allowed choices are postgres, rds/,
  ],
  ['an unknown option', ['--url', NOWHERE, '--table', 't'], /Did you mean --tables\?/],
  ['a bad table list', ['--url', NOWHERE, '--tables', 'a,"b'], /TABLE_PATTERN_INVALID/],
  ['a bad slot name', ['--url', NOWHERE, '--slot', 'No'], /SETTING_INVALID: setting "slot"/],
  ['a bad URL', ['--url', 'shop'], /CONNECTION_STRING_INVALID/],
])('wrong usage: %s', async (_, args, says) => {
  const { code, stdout, stderr } = await tailraceHere(['doctor', ...args])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(says)
  expect(stderr).not.toContain('s3cret')
})

test.concurrent('--help names the variable of every option', async () => {
  const { code, stdout } = await tailraceHere(['doctor', '--help'])
  expect(code).toBe(0)
  const text = stdout.replaceAll(/\s+/g, ' ')
  const options = [...stdout.matchAll(/^ {2}(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name!)
  expect(options).toEqual(expect.arrayContaining(['url', 'tables', 'slot', 'publication', 'key', 'keyless', 'json']))
  for (const option of options.filter((name) => name !== 'help')) {
    expect(text).toContain(`env: TAILRACE_${option.replaceAll('-', '_').toUpperCase()}`)
  }
})
