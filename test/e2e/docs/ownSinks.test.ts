import { execFile } from 'node:child_process'
import { copyFile, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { cliPath } from '../../support/cli.js'
import { testDatabase } from '../../support/database.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'
import { freePort } from '../../support/websocketPeers.js'

const ORDERS = `CREATE TABLE orders (id int PRIMARY KEY, total int); INSERT INTO orders VALUES (1, 10), (2, 20)`
const root = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** A folder in which packages are found as if they had been installed there. */
async function folderWith(...packages: readonly (readonly [name: string, path: string])[]) {
  const folder = await temporaryFolder()
  await mkdir(join(folder.path, 'node_modules'))
  for (const [name, path] of packages) await symlink(path, join(folder.path, 'node_modules', name))
  return folder
}

test('docs/sinks/own.md: the template passes its checks, and keeps documents through a kill', async () => {
  const page = await DocPage.read('sinks/own.md')
  await using db = await testDatabase(server, ORDERS)
  db.expectSlots = true
  await using folder = await folderWith(['tailrace', root('.')])
  await cp(root('examples/sink-template'), folder.path, { recursive: true })
  await using shell = await DocShell.open(folder.path)
  expect(`${page.command('template-yaml')}\n`).toBe(await readFile(join(folder.path, 'pipeline.yaml'), 'utf8'))

  const tested = await promisify(execFile)(process.execPath, ['--test', '--test-reporter=tap'], { cwd: folder.path })
  expect(tested.stdout).toMatch(/# pass 6\n# fail 0\n/)
  await writeFile(join(folder.path, 'mistakes.yaml'), page.command('mistakes-yaml'))
  const validate = `export DATABASE_URL=postgres://app@localhost/shop\n${page.command('validate')}`
  const failed = await shell.sh(validate).catch((error) => error)
  expect(failed).toMatchObject({ code: 2, stderr: expect.stringMatching(page.said('mistakes')) })

  const documents = join(folder.path, 'documents', 'public.orders')
  const found = async () => {
    const names = (await readdir(documents).catch(() => [])).filter((name) => name.endsWith('.json')).sort()
    // One may be gone by the time it is read.
    const texts = await Promise.all(names.map((name) => readFile(join(documents, name), 'utf8').catch(() => undefined)))
    return texts.flatMap((text) => (text === undefined ? [] : [JSON.parse(text).total]))
  }
  const start = () => shell.start(`env DATABASE_URL=${db.url} tailrace run pipeline.yaml`)
  const isThere = (expected: readonly number[]) =>
    waitFor(async () => String(await found()) === String(expected), { what: `${expected}`, timeoutMs: 20_000 })
  const first = start()
  await first.says('streaming from')
  await db.query('INSERT INTO orders VALUES (3, 30)')
  await isThere([10, 20, 30])
  await first.stop('SIGKILL')
  await db.query(
    'DELETE FROM orders WHERE id = 1; UPDATE orders SET id = 4 WHERE id = 2; UPDATE orders SET total = 31 WHERE id = 3',
  )
  const second = start()
  await isThere([31, 20])
  await second.stop()
  expect(await second.ended).toBe(0)
  expect(page.unused).toEqual([])
})

test('docs/sinks/websocket.md: its peer and its reader get every record, the peer through a kill', async () => {
  const page = await DocPage.read('sinks/websocket.md')
  await using db = await testDatabase(server, ORDERS)
  db.expectSlots = true
  await using folder = await folderWith(['ws', root('node_modules/ws')])
  await using shell = await DocShell.open(folder.path)
  for (const name of ['peer', 'reader']) {
    const [, code] = new RegExp(`<!-- ${name}\\.mjs -->\\n\\n\`\`\`js\\n([\\s\\S]*?)\`\`\``).exec(page.text)!
    await writeFile(join(folder.path, `${name}.mjs`), code!)
  }
  const [peerPort, readerPort] = [await freePort(), await freePort()]
  await writeFile(join(folder.path, 'feed.yaml'), page.command('feed-yaml'))
  const readers = page.command('readers-yaml').replace(':8090', `:${readerPort}`).replace('name: feed', 'name: readers')
  await writeFile(join(folder.path, 'readers.yaml'), readers)
  const variables = `env DATABASE_URL=${db.url} FEED_URL=ws://127.0.0.1:${peerPort} FEED_TOKEN=a`
  const output = join(folder.path, 'orders.ndjson')
  const startPeer = () => shell.start(`env PORT=${peerPort} OUTPUT=${output} ${process.execPath} peer.mjs`)
  const idsAt = async () => {
    const lines = (await readFile(output, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line).key.id)
  }
  const isThere = (what: string, condition: () => unknown) => waitFor(condition, { what, timeoutMs: 20_000 })

  const reader = shell.start(
    `env FEED=ws://127.0.0.1:${readerPort} sh -c 'until ${process.execPath} reader.mjs; do :; done'`,
  )
  const peer = startPeer()
  const [feed, toReaders] = [
    shell.start(`${variables} tailrace run feed.yaml`),
    shell.start(`${variables} tailrace run readers.yaml`),
  ]
  await isThere('the rows at the peer', async () => (await idsAt()).length === 2)
  await isThere('the rows at the reader', () => reader.stdout.includes('snapshot { id: 2 }'))
  await peer.stop('SIGKILL')
  await db.query('INSERT INTO orders VALUES (3, 30)')
  await feed.says(/sink search: (the connection|cannot connect) .*; trying again in/)
  await isThere('the change at the reader', () => reader.stdout.includes('create { id: 3 }'))
  startPeer()
  await isThere('the change at the peer', async () => (await idsAt()).includes(3))
  await feed.stop()
  await toReaders.stop()
  expect(await feed.ended).toBe(0)
  // Once each, or again behind the kill; never out of order.
  expect([...new Set(await idsAt())]).toEqual([1, 2, 3])
  expect(page.unused).toEqual([])
})

test('without the package ws the sink says how to install it', async () => {
  await using folder = await temporaryFolder()
  // The command without what npm installs beside it.
  const cli = join(folder.path, 'dist/cli/main.js')
  await mkdir(join(folder.path, 'dist/cli'), { recursive: true })
  await copyFile(cliPath, cli)
  await copyFile(root('package.json'), join(folder.path, 'package.json'))
  const text =
    'source: {url: postgres://app@localhost/shop, tables: orders}\nsinks: {feed: {type: websocket, url: ws://127.0.0.1:1}}'
  await writeFile(join(folder.path, 'feed.yaml'), text)
  await expect(
    promisify(execFile)(process.execPath, [cli, 'run', join(folder.path, 'feed.yaml')]),
  ).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/PACKAGE_MISSING.*npm install ws@8/),
  })
})
