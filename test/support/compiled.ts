import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporaryFolder.js'

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

export interface CompiledModule extends AsyncDisposable {
  /** The module's own file, to be imported by a child. */
  readonly file: string
}

/**
 * JavaScript of one module of `src/` and of all it imports from there, in a folder that every user can read. For tests
 * whose child processes run our code: Node 20 takes no TypeScript, and `dist/` may be stale. Takes half a second.
 */
export async function compileModule(source: string): Promise<CompiledModule> {
  const folder = await temporaryFolder()
  const config = {
    extends: join(REPOSITORY, 'tsconfig.json'),
    compilerOptions: {
      rootDir: join(REPOSITORY, 'src'),
      outDir: folder.path,
      typeRoots: [join(REPOSITORY, 'node_modules/@types')],
      declaration: false,
    },
    files: [join(REPOSITORY, 'src', source)],
    include: [],
  }
  await writeFile(join(folder.path, 'tsconfig.json'), JSON.stringify(config))
  await writeFile(join(folder.path, 'package.json'), '{ "type": "module" }')
  const compiler = join(REPOSITORY, 'node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [compiler, '-p', folder.path])
  return {
    file: join(folder.path, source.replace(/\.ts$/, '.js')),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}
