import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { parsePipeline } from '../../../src/homes/pipeline/config/pipelineConfig.js'
import type { PipelineEvent } from '../../../src/homes/pipeline/run/events.js'
import { runPipeline } from '../../../src/homes/pipeline/runPipeline.js'
import { processorTypes } from '../../../src/processors/processorTypes.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { cliPath } from '../../support/cli.js'
import { testDatabase } from '../../support/database.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { scriptedServer } from '../../support/scriptedServer.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

test('docs/processors/: each example makes of the rows what stands behind it', async () => {
  const page = await DocPage.read('processors.md')
  await loadGrammar()
  await using server = await startServer()
  await using db = await testDatabase(server, page.command('tables'))
  await using folder = await temporaryFolder()
  await using crm = await scriptedServer(({ url, headers }, response) => {
    const customer = url.endsWith('/1') ? { name: 'Ann', address: { country: 'DE' } } : { name: 'Ben' }
    response.writeHead(headers.authorization === 'Bearer of the test' ? 200 : 401).end(JSON.stringify(customer))
  })
  await using model = await scriptedServer(({ body }, response) => {
    const isBerlin = body.includes('country of this address') && body.includes('Berlin')
    response.end(JSON.stringify({ choices: [{ message: { content: isBerlin ? 'DE' : 'unknown' } }] }))
  })
  const runs = [...processorTypes.keys()].flatMap((type) =>
    type === 'javascript' ? [[type, 'sandbox'], [type]] : [[type]],
  )
  const pages = new Map<string, DocPage>()
  for (const [type = '', example = type] of runs) {
    const own = pages.get(type) ?? (await DocPage.read(`processors/${type}.md`))
    pages.set(type, own)
    const processors = own
      .command(example)
      .replace('https://crm.example.com', crm.origin)
      .replace('http://localhost:11434', model.origin)
      .replaceAll('\n', '\n  ')
    const text = `source: {url: "\${SHOP_URL}", tables: [orders, customers], snapshot: only}
sinks: {out: {type: file, path: ${example}.ndjson, format: row}}
processors:
  ${processors}
`
    const config = parsePipeline(join(folder.path, `${example}.yaml`), text, {
      SHOP_URL: db.url,
      CRM_TOKEN: 'of the test',
    })
    const events: PipelineEvent[] = []
    const listener = {
      event: (event: PipelineEvent) => void events.push(event),
      source: async () => {},
      tryingAgain: () => {},
    }
    await runPipeline(config, listener, new AbortController().signal)
    const logged = events.map((event) => (event.type === 'processor-record' ? event.record : ''))
    const output = await readFile(join(folder.path, `${example}.ndjson`), 'utf8')
    expect(`${output}${logged.join('\n')}`).toMatch(own.said(example))
  }
  await using shell = await DocShell.open(folder.path)
  await writeFile(join(folder.path, 'mistakes.yaml'), page.command('mistakes-yaml'))
  const failed = await shell.sh(page.command('validate')).catch((error) => error)
  expect(failed).toMatchObject({ code: 2, stderr: expect.stringMatching(page.said('mistakes')) })
  expect([page, ...pages.values()].flatMap(({ unused }) => unused)).toEqual([])
})

test('what is beside the command is loaded only where it is needed, and told with how to get it', async () => {
  await using folder = await temporaryFolder()
  // The command without what npm installs beside it.
  const cli = join(folder.path, 'dist/cli/main.js')
  await mkdir(join(folder.path, 'dist/cli'), { recursive: true })
  await copyFile(cliPath, cli)
  await copyFile(new URL('../../../package.json', import.meta.url), join(folder.path, 'package.json'))
  const validate = async (processor: string) => {
    const text = `source: {url: postgres://app@db/shop, tables: orders}\nsinks: {out: {type: stdout}}\nprocessors: [${processor}]`
    await writeFile(join(folder.path, 'shop.yaml'), text)
    return promisify(execFile)(process.execPath, [cli, 'validate', join(folder.path, 'shop.yaml')])
  }
  expect((await validate('{type: mask, redact: [name]}')).stdout).toContain('can be run')
  await expect(validate('{type: filter, where: id = 1}')).rejects.toThrow('libpg-query')
  await expect(validate('{type: javascript, sandbox: true, code: "export default () => {}"}')).rejects.toThrow(
    'processors[0].sandbox: it needs a package that is not there: npm install quickjs-emscripten@0.32',
  )
})
