import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Compiles a TypeScript file below `test` with what it imports, and runs it with these arguments. */
export function runCompiled(file, given = process.argv.slice(2)) {
  // Below the root, so that packages are found from there.
  const folder = join(root, 'node_modules/.cache', `tailrace-${basename(dirname(file))}`)
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
      files: [join(root, file)],
      include: [],
    }),
  )
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { stdio: 'inherit' })

  const env = {
    TAILRACE_CLI: join(root, 'dist/cli/main.js'),
    TAILRACE_AIRBYTE: join(root, 'dist/cli/airbyte.js'),
    ...process.env,
  }
  const args = [join(folder, file.replace(/\.ts$/, '.js')), ...given]
  spawn(process.execPath, args, { env, stdio: 'inherit' }).on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}
