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
import { isOf, PostgresSource, TailraceError, type Batch, type SourceEvent } from 'tailrace'

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
export const describe = (error: unknown): string => (error instanceof TailraceError ? error.code : 'unknown')
export type Events = SourceEvent['type']
export type Rows = Batch<{ orders: Order }>
// @ts-expect-error: an option that does not exist
void new PostgresSource({ url: '', tables: '*', tabels: 'x' })
`

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
    `package: ${filename} runs (${version}), imports (${imported.trim()}), type-checks; publint and attw agree`,
  )
} catch (error) {
  console.error(error.stdout ?? '', error.stderr ?? '', error.message)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
