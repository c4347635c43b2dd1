// Packs the package and uses it as a stranger would: installed in an empty folder, run, imported and type-checked.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => join(root, 'node_modules', '.bin', name)
const folder = mkdtempSync(join(tmpdir(), 'tailrace-package-'))
const run = (command, args, cwd = folder) => execFileSync(command, args, { cwd, encoding: 'utf8' })

const CONSUMER = `
import {
  isOf, PostgresSource, runPipeline, TailraceError, type Batch, type Reject, type Sink, type SinkMark, type SourceEvent,
} from 'tailrace'
import { type SinkCheck, sinkContract } from 'tailrace/testing'

interface Order { id: number; total: string }
const source = new PostgresSource<{ orders: Order }>({ url: 'postgres://app@localhost/shop', tables: ['orders'] })
export async function run(save: (position: object) => Promise<void>): Promise<void> {
  await using closing = source
  for await (const batch of closing) {
    for (const record of batch) {
      if (isOf(record, 'orders') && record.operation !== 'delete') {
        const order: Order = record.after.toObject()
        const total: string | undefined = record.after.get('total')
        console.log(order.id, total, record.id)
      } else if (record.operation === 'truncate') console.log(record.table.name, record.cascade)
    }
    await save(batch.position.toJSON())
    await batch.ack()
  }
}
class Counting implements Sink {
  #count = 0
  async open() {}
  async write(batch: Batch, reject?: Reject) {
    for (const { operation } of batch) if (operation !== 'schema') this.#count++
    if (reject !== undefined && batch.length > 1000) reject(0, new Error('too many'))
  }
  async flush(): Promise<SinkMark> {
    return { count: this.#count }
  }
  async close() {}
}
export const running = () =>
  runPipeline({
    name: 'shop',
    source: { tables: ['orders'] },
    sinks: { own: new Counting(), retried: { sink: () => new Counting(), onError: 'retry' }, ours: { type: 'stdout' } },
  })
export const checks: readonly SinkCheck[] = sinkContract({
  kind: 'log',
  target: () => ({ make: () => new Counting(), read: async () => [{ key: '1', version: null }] }),
})
export const describe = (error: unknown): string => (error instanceof TailraceError ? error.code : 'unknown')
export type Events = SourceEvent['type']
export type Rows = Batch<{ orders: Order }>
// @ts-expect-error: an option that does not exist
void new PostgresSource({ url: '', tables: '*', tabels: 'x' })
`

/** A sink that acknowledges what it has not got, as it must not. */
const TESTED = `
import { sinkContract } from 'tailrace/testing'
const sink = { open: async () => {}, write: async () => {}, flush: async () => null, close: async () => {} }
const checks = sinkContract({ kind: 'log', target: () => ({ make: () => sink, read: async () => [] }) })
const found = await checks.find(({ name }) => name === 'no ack before durable').run().catch((error) => error.name)
if (found !== 'ContractFailure') throw new Error('the check has not failed: ' + found)
console.log(checks.length + ' checks')`

try {
  const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], root))
  const packed = join(folder, filename)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', packed])

  const version = run('npx', ['tailrace', '--version']).trim()
  const imported = run('node', [
    '-e',
    "import('tailrace').then((face) => console.log(Object.keys(face).sort().join(' ')))",
  ])
  const tested = run('node', ['--input-type=module', '-e', TESTED]).trim()
  writeFileSync(join(folder, 'consumer.ts'), CONSUMER)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2023', 'esnext.disposable'],
        strict: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(root, 'node_modules', '@types')],
      },
      files: ['consumer.ts'],
    }),
  )
  run(bin('tsc'), ['-p', '.'])
  run(bin('publint'), [packed, '--strict'], root)
  run(bin('attw'), [packed, '--profile', 'esm-only'], root)
  console.log(
    `package: ${filename} runs (${version}), imports (${imported.trim()}), checks sinks (${tested}), type-checks; publint and attw agree`,
  )
} catch (error) {
  console.error(error.stdout ?? '', error.stderr ?? '', error.message)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
