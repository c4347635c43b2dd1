import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { StateLock } from '../../../src/sinks/files/stateLock.js'
import { type CompiledModule, compileModule } from '../../support/compiled.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

let lock: CompiledModule
beforeAll(async () => {
  lock = await compileModule('sinks/files/stateLock.ts')
})
afterAll(() => lock[Symbol.asyncDispose]())

interface Taker {
  readonly child: ChildProcess
  /** Nothing, `ready`, then how it went. */
  said: string
}

/** Takes the lock as soon as `${state}.go` is there, and stays. */
function taker(state: string): Taker {
  const script = `
    const { existsSync } = await import('node:fs')
    const { StateLock } = await import(${JSON.stringify(lock.file)})
    console.log('ready')
    while (!existsSync(${JSON.stringify(`${state}.go`)}));
    console.log(await StateLock.take(${JSON.stringify(state)}).then(() => 'taken', (error) => error.code))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const one: Taker = { child, said: '' }
  child.stdout.on('data', (chunk) => {
    one.said = String(chunk).trim().split('\n').at(-1)!
  })
  return one
}

test('a state is one process at a time, and a killed one lets go of it', async () => {
  await using folder = await temporaryFolder()
  const state = join(folder.path, 'state')
  await writeFile(`${state}.go`, '')
  const first = taker(state)
  await waitFor(() => first.said === 'taken', { what: 'the first to take it' })
  await expect(StateLock.take(state)).rejects.toMatchObject({
    code: 'STATE_LOCKED',
    details: { path: state, pid: first.child.pid },
  })
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  {
    await using _taken = await StateLock.take(state)
    expect(await readFile(`${state}.lock`, 'utf8')).toMatch(new RegExp(`^${process.pid}( |$)`))
  }
  expect(await readdir(folder.path)).toEqual(['state.go'])
})

test('of several that find what a killed run left, one has it', async () => {
  await using folder = await temporaryFolder()
  const state = join(folder.path, 'state')
  // A pid of somebody else, who began at another time.
  await writeFile(`${state}.lock`, `${process.ppid} 1`)
  const takers = Array.from({ length: 3 }, () => taker(state))
  await waitFor(() => takers.every(({ said }) => said === 'ready'), { what: 'all to be ready' })
  await writeFile(`${state}.go`, '')
  await waitFor(() => takers.every(({ said }) => said !== 'ready'), { what: 'all to be told' })
  expect(takers.map(({ said }) => said).sort()).toEqual(['STATE_LOCKED', 'STATE_LOCKED', 'taken'])
  for (const { child } of takers) child.kill('SIGKILL')
  await Promise.all(takers.map(({ child }) => once(child, 'exit')))
})

test('a lock of nobody is no obstacle, and a folder that is not there is told', async () => {
  await using folder = await temporaryFolder()
  const state = join(folder.path, 'state')
  await writeFile(`${state}.lock`, '')
  await using _taken = await StateLock.take(state)
  await expect(StateLock.take(join(folder.path, 'no', 'state'))).rejects.toMatchObject({ code: 'STATE_FAILED' })
  await expect(access(join(folder.path, 'no'))).rejects.toThrow('ENOENT')
})
