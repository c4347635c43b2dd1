import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cliPath } from '../../support/cli.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { databasePair } from '../../support/verifying.js'
import { waitFor } from '../../support/waitFor.js'

/** util-linux's `script` runs a command on a terminal of its own. */
const noScript = process.env.CI === undefined && spawnSync('script', ['--version']).status !== 0

const TABLES = ['a', 'b'].map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, fill text)`).join(';')

test.skipIf(noScript)(
  'on a terminal a pipeline shows each table’s snapshot with its rate, the stream with its lag, and a summary',
  async () => {
    await using server = await startServer()
    await using pair = await databasePair(server, TABLES)
    pair.source.expectSlots = true
    await pair.source.query(`
      INSERT INTO a SELECT i, repeat('x', 300) FROM generate_series(1, 100000) i;
      INSERT INTO b SELECT i, repeat('y', 300) FROM generate_series(1, 100000) i; ANALYZE`)
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'shop.yaml')
    await writeFile(
      file,
      `
source: {url: "\${SHOP_URL}", tables: [a, b], slot: ${pair.source.name}}
sinks:
  copy: {type: postgres, url: "\${COPY_URL}"}
`,
    )
    const typescript = join(folder.path, 'typescript')
    const urls = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
    const env = { PATH: process.env.PATH, TERM: 'xterm', LANG: 'C.UTF-8', ...urls }
    const command = `exec ${process.execPath} ${cliPath} run ${file} --no-control`
    const terminal = spawn('script', ['-qefc', command, typescript], { env, stdio: ['pipe', 'ignore', 'ignore'] })
    const seen = () => readFile(typescript, 'utf8').catch(() => '')
    const sees = (text: RegExp) =>
      waitFor(async () => text.test(await seen()), { what: String(text), timeoutMs: 60_000 })
    try {
      await sees(/streaming from/)
      await pair.source.query('UPDATE a SET fill = NULL WHERE id <= 10')
      await sees(/ 10 records, [\d,]+ a second, at [\dA-F/]+, caught up/)
    } finally {
      // Control and C, as somebody there would press them.
      terminal.stdin.end('\u0003')
    }
    const [code] = await once(terminal, 'exit')
    const shown = await seen()
    expect(code, shown).toBe(0)
    for (const table of ['a', 'b']) {
      expect(shown).toMatch(new RegExp(`█░*.* \\d+% public\\.${table} {2}[\\d,]+ rows, [\\d,]+ a second`))
    }
    expect(shown).toMatch(
      /pipeline shop ended after [^\n]+, 200,010 records read: public\.a 100,010, public\.b 100,000/,
    )
    expect(shown).toMatch(/sink copy has 200,010 records of this run/)
    expect(shown.lastIndexOf('\u001b[?25h'), 'the cursor is shown again').toBeGreaterThan(
      shown.lastIndexOf('\u001b[?25l'),
    )
  },
  120_000,
)
