import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, lstat, mkdir, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { findNative } from '../../../src/cli/embedded/binaries.js'
import { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type CompiledModule, compileModule } from '../../support/compiled.js'
import { asRoot, isRunning, NOBODY, runsAsNobody } from '../../support/processes.js'
import { binariesOf, DEFAULT_MAJOR } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

const packageFolder = dirname(findNative(binariesOf(DEFAULT_MAJOR)))
/** Not where Node or this repository lies below a home that only root may enter. */
const nobodyCanRun = asRoot && (await runsAsNobody(`require('fs').accessSync(${JSON.stringify(packageFolder)})`))

describe('a process of its own', () => {
  let launcher: CompiledModule
  beforeAll(async () => {
    launcher = await compileModule('cli/embedded/server.ts')
  })
  afterAll(() => launcher[Symbol.asyncDispose]())

  /** Starts a server in a child whose temporary folder is ours to look into. */
  function startInChild(temporary: string, uid?: number): ChildProcess {
    const script = `
      const { EmbeddedPostgres } = await import(${JSON.stringify(launcher.file)})
      const server = await EmbeddedPostgres.start({ binaries: [${JSON.stringify(packageFolder)}] })
      console.log(JSON.stringify({ pid: server.pid, account: process.getuid() }))
      process.stdin.on('data', () => server[Symbol.asyncDispose]().then(() => process.exit()))`
    return spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: temporary,
      env: { PATH: process.env.PATH, TMPDIR: temporary },
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
  }

  async function started(child: ChildProcess): Promise<{ pid: number; account: number }> {
    return JSON.parse(String((await once(child.stdout!, 'data'))[0]))
  }

  test('that dies by SIGKILL leaves no server and no folder', async () => {
    await using temporary = await temporaryFolder()
    const child = startInChild(temporary.path)
    const { pid } = await started(child)
    expect(isRunning(pid)).toBe(true)
    child.kill('SIGKILL')
    await waitFor(() => !isRunning(pid), { what: 'the orphaned server to end' })
    await waitFor(async () => (await readdir(temporary.path)).length === 0, { what: 'its folder to be removed' })
  })

  test('that dies by SIGKILL within initdb leaves nothing either', async () => {
    await using temporary = await temporaryFolder()
    const child = startInChild(temporary.path)
    const filled = async () =>
      (await readdir(temporary.path, { recursive: true })).some((name) => basename(name) === 'global')
    await waitFor(filled, { what: 'initdb to begin', intervalMs: 5 })
    child.kill('SIGKILL')
    await waitFor(async () => (await readdir(temporary.path)).length === 0, { what: 'its folder to be removed' })
  })

  test.skipIf(!nobodyCanRun)('works as another user than root', async () => {
    await using temporary = await temporaryFolder()
    await chown(temporary.path, NOBODY, NOBODY)
    const child = startInChild(temporary.path, NOBODY)
    expect(await started(child)).toMatchObject({ account: NOBODY })
    child.stdin!.write('stop')
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(await readdir(temporary.path)).toEqual([])
  })
})

describe('a package', () => {
  test('whose install script did not run, and that only we can read, still starts', async () => {
    await using modules = await temporaryFolder()
    await cp(join(packageFolder, 'native'), join(modules.path, 'home', 'native'), {
      recursive: true,
      filter: async (source) => !(await lstat(source)).isSymbolicLink(),
    })
    const home = join(modules.path, 'home')
    await mkdir(join(modules.path, 'temporary'))
    {
      await using unlinked = await EmbeddedPostgres.start({ binaries: [home] })
      expect(await readdir(unlinked.folder)).not.toContain('native')
    }
    await chmod(home, 0o700)
    await using unreadable = await EmbeddedPostgres.start({ binaries: [home] })
    expect((await readdir(unreadable.folder)).includes('native')).toBe(asRoot)
    const links = await Promise.all(
      (await readdir(join(home, 'native', 'lib'))).map((name) => lstat(join(home, 'native', 'lib', name))),
    )
    expect(links.some((file) => file.isSymbolicLink())).toBe(false)
  })

  test.skipIf(!asRoot)(
    'cannot be used from a temporary folder that only root can enter, and the error names the way out',
    async () => {
      await using closed = await temporaryFolder()
      await chmod(closed.path, 0o700)
      vi.stubEnv('TMPDIR', closed.path)
      const start = EmbeddedPostgres.start({ binaries: [packageFolder] })
      await expect(start).rejects.toMatchObject({
        code: 'EMBEDDED_FOLDER_UNREACHABLE',
        hint: expect.stringContaining('TMPDIR'),
      })
      vi.unstubAllEnvs()
      expect(await readdir(closed.path)).toEqual([])
    },
  )
})
