import { readFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from '../../../src/cli/control/controlServer.js'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { configureLog } from '../../../src/cli/log.js'
import { ControlledSource } from '../../support/controlledSource.js'
import { testDatabase } from '../../support/database.js'
import { DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { startTailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
let page: string
beforeAll(async () => {
  server = await startServer()
  page = await readFile(new URL('../../../docs/signals.md', import.meta.url), 'utf8')
  configureLog({ format: 'text', level: 'error' })
})
afterAll(() => server[Symbol.asyncDispose]())

/** The page's commands, as a shell gets them. */
function commands(start: string): string[] {
  return page.split('\n').filter((line) => line.startsWith(start))
}

test('the run and the status of docs/signals.md are as they stand there', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE orders (id int PRIMARY KEY)')
  await using folder = await temporaryFolder()
  db.expectSlots = true
  await using shell = await DocShell.open(folder.path)
  const [stream] = commands('tailrace stream')
  const args = stream!.replace('postgres://app@localhost/shop', db.url).split(' ').slice(1)
  const inFolder = args.map((arg) => (arg.startsWith('shop.') ? join(folder.path, arg) : arg))
  await using running = startTailrace(inFolder)
  await running.says('streaming from')
  await db.query('INSERT INTO orders VALUES (1)')
  const [status] = commands('tailrace signal status')
  const told = () => shell.sh(status!).then(({ stdout }) => (stdout.includes('\nrecords ') ? stdout : undefined))
  const facts = (await waitFor(told, { what: 'the record to be counted' })).trimEnd().split('\n')
  const shown = /```\n(run {7}[\s\S]*?)\n```/.exec(page)![1]!.split('\n')
  const names = (lines: readonly string[]) => lines.map((line) => line.slice(0, 10))
  expect(names(facts)).toEqual(names(shown))
})

test('the changes of docs/signals.md reach a run as they stand there', async () => {
  await using folder = await temporaryFolder()
  await using control = await ControlServer.open({ state: join(folder.path, 'shop.state') })
  const source = new ControlledSource()
  const attached = control!.attach(source)
  await using shell = await DocShell.open(folder.path)
  const changes = ['add', 'remove', 'resnapshot'].flatMap((name) => commands(`tailrace signal ${name}`))
  expect(changes).toHaveLength(4)
  for (const line of changes) {
    const ran = shell.sh(line)
    const call = await waitFor(() => source.calls.at(-1), { what: `the call of ${line}` })
    call.end.resolve(['public.customers'])
    await ran
    source.calls.pop()
    expect(line).toContain(call.call.split(' ')[1]!.split(',')[0])
  }
  source.end()
  await attached
})

test('the transcript of docs/signals.md is the protocol', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'shop.state')
  await using control = await ControlServer.open({ state: path })
  const source = new ControlledSource()
  const attached = control!.attach(source)
  const lines = [...page.matchAll(/^[→←] (.*)$/gm)].map(([, line]) => JSON.parse(line!) as Record<string, unknown>)
  const [asked, ...answered] = lines
  const socket = createConnection(`${path}.sock`)
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  socket.write(`${JSON.stringify(asked)}\n`)
  const call = await waitFor(() => source.calls[0], { what: 'the call' })
  source.tell({ type: 'waiting-for-transactions', seconds: 1, holders: ['pid 7 …'] })
  await waitFor(() => text.includes('"waiting"'), { what: 'the waiting' })
  call.end.resolve(['public.customers'])
  await waitFor(() => text.includes('"done"'), { what: 'the end' })
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(answered)
  socket.destroy()
  source.end()
  await attached
})
