// Compiles test/chaos with what it imports, and runs it: `npm run chaos -- --kills 20 --seed 7 --major 17`.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// Below the root, so that packages are found from there.
const folder = join(root, 'node_modules/.cache/tailrace-chaos')

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
writeFileSync(
  join(folder, 'tsconfig.json'),
  JSON.stringify({
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      rootDir: root,
      outDir: folder,
      typeRoots: [join(root, 'node_modules/@types')],
      declaration: false,
    },
    files: [join(root, 'test/chaos/main.ts')],
    include: [],
  }),
)
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { stdio: 'inherit' })

const env = { TAILRACE_CLI: join(root, 'dist/cli/main.js'), ...process.env }
const chaos = spawn(process.execPath, [join(folder, 'test/chaos/main.js'), ...process.argv.slice(2)], {
  env,
  stdio: 'inherit',
})
chaos.on('exit', (code) => {
  process.exitCode = code ?? 1
})
