import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ContestantProcess } from '../contestantProcess.mjs'
import { dist } from '../dist.mjs'
import { CpuWatch } from '../machine.mjs'

const LIMIT_SECONDS = 300
const LIGHT = fileURLToPath(new URL('light', import.meta.url))
const HOST = fileURLToPath(new URL('../../test/conformance/conduit/host', import.meta.url))

const plugin = resolve(dist, 'tailrace-conduit.cjs')

const folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-conduit-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A file, or a folder, that goes with the bench. */
export function scratch(name) {
  return join(folder, name)
}

/** The light client, of its own folder; undefined without Go. */
let light

/**
 * The client that neither encodes nor decodes records, `source` or `destination`, to its end: figures of the whole, and
 * what it has seen. Without Go it is Node's, which costs as much as the plugin.
 */
export function runClient(server, role, wishes) {
  light ??= { binary: build('light', LIGHT, 'the client is one for Node, as dear as the plugin') }
  const environment = { BENCH_CONDUIT: JSON.stringify({ file: plugin, ...wishes }) }
  if (light.binary !== undefined) return run(server, { command: light.binary, args: [role], environment })
  const path = fileURLToPath(new URL(`${role}Client.mjs`, import.meta.url))
  return run(server, { command: process.execPath, args: [path], environment })
}

/** What it is, for a title. */
export function clientName() {
  return light?.binary === undefined ? 'a client for Node' : 'a client in Go'
}

/** The Go host with Conduit's own protocol library; undefined without Go. */
export function buildHost() {
  return build('host', HOST, 'the Go host is left out')
}

function build(name, sources, without) {
  const binary = scratch(name)
  if (existsSync(binary)) return binary
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/go/bin` }
  try {
    execFileSync('go', ['build', '-o', binary, '.'], { cwd: sources, env, stdio: ['ignore', 'inherit', 'inherit'] })
    return binary
  } catch {
    console.log(`WARNING: no Go (1.25 or later), or its modules cannot be had: ${without}`)
    return undefined
  }
}

let hosts = 0

/** A run of it, in a folder of its own. */
export function runHost(server, binary, config) {
  const own = mkdtempSync(join(folder, `host-${++hosts}-`))
  const file = join(own, 'config.json')
  writeFileSync(file, JSON.stringify({ logLevel: 'warn', engine: 'v2', plugin, folder: own, ...config }))
  return run(server, { command: binary, args: ['run', file] })
}

async function run(server, command) {
  const watch = new CpuWatch(server.pid, ...(server.source === undefined ? [] : [server.source.pid]))
  const contestant = new ContestantProcess({ ...command, output: 'pipe' })
  let output = ''
  contestant.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  const usage = await contestant.finished(LIMIT_SECONDS).catch((error) => {
    throw new Error(`${error.message}\n${output.slice(-1000)}`)
  })
  const said = JSON.parse(output.trim().split('\n').at(-1))
  return { ...usage, said, ...(await watch.stop(usage.cpu)) }
}
