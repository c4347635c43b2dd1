import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { copyFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { DestinationPluginService } from '../../../src/homes/conduit/proto/connector/v2/destination.js'
import { ConduitHost, hostEnvironment, launch, pluginPath, spawnPlugin } from '../../support/conduit/conduitHost.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

const run = promisify(execFile)

describe('the executable', () => {
  test('is one file under 5 MB that works where nothing stands beside it, and by a link', async () => {
    expect(statSync(pluginPath).size).toBeLessThan(5_000_000)
    await using folder = await temporaryFolder()
    const copy = join(folder.path, 'tailrace-conduit.cjs')
    const link = join(folder.path, 'a link without an extension')
    await copyFile(pluginPath, copy)
    await symlink(copy, link)
    for (const file of [copy, link]) {
      await using host = await launch({ file })
      expect((await host.specify()).name).toBe('tailrace')
    }
  })

  test('hands over its handshake in under 0.4 s, and prints nothing else on standard output', async () => {
    const times: number[] = []
    for (let i = 0; i < 3; i++) {
      await using host = await launch()
      // What it takes itself: the machine may be busy with other things.
      times.push(processorMs(host.pid) ?? host.handshakeMs)
      expect(host.handshake).toMatch(/^1\|2\|(unix\|\/.*sock|tcp\|127\.0\.0\.1:\d+)\|grpc\|$/)
      await host.specify()
      await host.kill()
      expect(host.stdoutLater).toBe('')
    }
    expect(Math.min(...times)).toBeLessThan(400)
  })

  test.each([
    ['missing', undefined],
    ['another one', 'x'],
  ])('started by hand (the cookie is %s) says on standard error what it is, and exits with 1', async (_, cookie) => {
    const { CONDUIT_PLUGIN_MAGIC_COOKIE, ...env } = hostEnvironment()
    const given = { ...env, ...(cookie && { CONDUIT_PLUGIN_MAGIC_COOKIE: cookie }), PATH: process.env.PATH! }
    const failure = await run(pluginPath, [], { env: given }).catch((error) => error)
    expect(failure).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('plugin: standalone:tailrace'),
    })
  })

  test('a host that speaks only version 1 is told so', async () => {
    const env = { ...hostEnvironment(), PLUGIN_PROTOCOL_VERSIONS: '1', PATH: process.env.PATH! }
    const failure = await run(pluginPath, [], { env }).catch((error) => error)
    expect(failure).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('Conduit v0.11') })
  })

  test('prints its version and its connector.yaml when it is asked for them', async () => {
    expect((await run(pluginPath, ['version'])).stdout).toMatch(/^v\d+\.\d+\.\d+\n$/)
    const { specification } = parse((await run(pluginPath, ['spec'])).stdout)
    expect(specification.source.parameters.find(({ name }: { name: string }) => name === 'tables')).toMatchObject({
      type: 'string',
      validations: [{ type: 'required', value: '' }],
    })
    const { parameters } = specification.destination
    expect(parameters.find(({ name }: { name: string }) => name === 'sdk.rate.perSecond')).toMatchObject({
      type: 'float',
      default: '0',
      validations: [{ type: 'greater-than', value: '-1' }],
    })
    await expect(run(pluginPath, ['help'])).rejects.toMatchObject({ code: 1 })
  })
})

describe('the process', () => {
  test('ends by Shutdown at once, and leaves no socket behind', async () => {
    // On a busy machine not each of them.
    let quickest = Number.POSITIVE_INFINITY
    for (let tries = 0; tries < 5 && quickest > 1000; tries++) {
      await using host = await launch()
      const [, , network, address] = host.handshake.split('|')
      await host.specify()
      const { killed, ms } = await host.kill()
      expect(killed).toBe(false)
      quickest = Math.min(quickest, ms)
      expect(await host.ended).toEqual([0, null])
      if (network === 'unix') expect(existsSync(dirname(address!))).toBe(false)
    }
    expect(quickest).toBeLessThan(1000)
  })

  test('outlives SIGINT, which Ctrl-C gives the whole group: Conduit drains it then', async () => {
    await using host = await launch()
    process.kill(-host.pid, 'SIGINT')
    await sleep(300)
    expect((await host.specify()).name).toBe('tailrace')
    process.kill(-host.pid, 'SIGINT')
    await host.kill()
    expect(await host.ended).toEqual([0, null])
  })

  test('ends when the host is killed', async () => {
    const code = `
      const plugin = require('child_process').spawn(process.argv[1], [], { stdio: 'inherit' })
      process.stderr.write('plugin ' + plugin.pid + '\\n')`
    const child = startUnder(code)
    await using host = new ConduitHost(child)
    await host.connect()
    const { message } = await host.says('plugin ')
    const pid = Number(message.split(' ')[1])
    expect((await host.specify()).name).toBe('tailrace')
    child.kill('SIGKILL')
    await waitFor(() => !isRunning(pid), { what: `the plugin ${pid} to end`, timeoutMs: 5000 })
  })

  test('ends by SIGTERM', async () => {
    await using host = await launch()
    host.child.kill('SIGTERM')
    expect(await host.ended).toEqual([143, null])
  })
})

describe('calls', () => {
  test('errors have the code UNKNOWN, as those of Go plugins, and a text that says all', async () => {
    await using host = await launch()
    const error = await host.configure({ tables: 'orders' }).catch((error) => error)
    expect(error).toMatchObject({
      code: 2,
      message: expect.stringMatching(/^CONNECTOR_INVALID: setting "url": it is required/),
    })
    await expect(host.open()).rejects.toThrow('CONNECTOR_UNREADY')
    await host.teardown()
  })

  test('Stop, Teardown and Teardown again work in every state', async () => {
    await using host = await launch()
    expect(await host.stop()).toEqual(Buffer.alloc(0))
    await host.teardown()
    await host.teardown()
    expect(await host.kill()).toMatchObject({ killed: false })
  })

  test('those of a destination, too, work in every state, and say what is missing', async () => {
    await using host = await launch()
    await expect(host.call(DestinationPluginService.configure, { config: { tabel: 't' } })).rejects.toMatchObject({
      code: 2,
      message: expect.stringMatching(
        /"tabel": there is no such setting; did you mean "table"\?.*"url": it is required/,
      ),
    })
    await expect(host.call(DestinationPluginService.open, {})).rejects.toThrow('CONNECTOR_UNREADY')
    expect(await host.runDestination('v1').fails()).toContain('CONNECTOR_UNREADY')
    await host.call(DestinationPluginService.stop, { lastPosition: Buffer.alloc(0) })
    await host.call(DestinationPluginService.lifecycleOnDeleted, { config: {} })
    await host.call(DestinationPluginService.teardown, {})
    await host.call(DestinationPluginService.teardown, {})
    expect(await host.kill()).toMatchObject({ killed: false })
  })
})

describe('the log', () => {
  test('is as the host reads it, from the level that it asks for', async () => {
    const settings = { url: 'postgres://nobody@127.0.0.1:1/none', tables: 'orders', 'snapshot.fetchSize': '10' }
    await using host = await launch({ logLevel: 'warn' })
    await host.configure(settings)
    const line = await host.says('snapshot.fetchSize has no effect')
    expect(line).toMatchObject({ level: 'warn', plain: false })
    expect(host.panic).toBeUndefined()
    await using silent = await launch({ logLevel: 'error' })
    await silent.configure(settings)
    await silent.kill()
    expect(silent.logs).toEqual([])
  })
})

/** Processor time of a process until now; undefined where the system does not say. */
function processorMs(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  // In hundredths of a second, on every Linux.
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** The plugin as the child of a host of its own. */
function startUnder(code: string) {
  return spawnPlugin({ file: process.execPath, args: ['-e', code, pluginPath] })
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
