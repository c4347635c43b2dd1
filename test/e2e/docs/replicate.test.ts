import { execFileSync } from 'node:child_process'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { testDatabase } from '../../support/database.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

const EXAMPLE = fileURLToPath(new URL('../../../examples/replicate/', import.meta.url))
const FILES = ['pipeline.yaml', 'schema.sql', 'rows.sql', 'workload.sql']

test('examples/replicate: its one command starts two servers, and both are equal beside a workload', async () => {
  const page = await readme()
  expect(page.command('own')).toContain('node examples/replicate/run.mjs')
  expect(ofOwnServers()).toMatch(page.said('own'))
}, 100_000)

test.skipIf(!hasPsql())(
  'examples/replicate: on databases of yours, and behind a kill',
  async () => {
    const page = await readme()
    await using server = await startServer()
    await using shop = await testDatabase(server, '')
    shop.expectSlots = true
    await using copy = await testDatabase(server, '')
    await using folder = await temporaryFolder()
    for (const file of FILES) await copyFile(join(EXAMPLE, file), join(folder.path, file))
    const urls = (text: string) =>
      text.replaceAll('postgres://app@localhost/shop', shop.url).replaceAll('postgres://app@localhost/copy', copy.url)
    await using shell = await DocShell.open(folder.path, urls)
    const [variables, ...commands] = page.command('tables').split('\n')
    const inShell = (command: string) => shell.sh(`${variables}\n${command}`)
    await inShell(commands.join('\n'))
    const start = () => shell.start(`env ${variables!.replace('export ', '')} ${page.command('run')}`)
    const first = start()
    await first.says('streaming from')
    await first.stop('SIGKILL')
    const running = start()
    await running.says('streaming from')
    // While the copy is behind its rows are another number at the first look.
    const compared = page.said('compare').source.replaceAll(' rows', '(?: and [\\d,]+)? rows')
    expect((await inShell(page.command('compare'))).stdout).toMatch(new RegExp(compared))
    await running.stop()
    expect(await running.ended).toBe(0)
  },
  100_000,
)

async function readme(): Promise<DocPage> {
  return new DocPage(await readFile(join(EXAMPLE, 'README.md'), 'utf8'))
}

/** Built already, by whoever runs the tests. */
function ofOwnServers(): string {
  const args = [join(EXAMPLE, 'run.mjs'), '2']
  return execFileSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 90_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

function hasPsql(): boolean {
  try {
    execFileSync('psql', ['--version'])
    return true
  } catch {
    return false
  }
}
