import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { dist } from '../dist.mjs'

export const AIRBYTE = 'tailrace-airbyte'

const executable = resolve(dist, 'cli/airbyte.js')
const folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-airbyte-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** The connector as a platform calls it; `inputs` go into files. */
export function airbyte(name, command, inputs) {
  const args = Object.entries(inputs).flatMap(([option, value]) => {
    const path = join(folder, `${++files}.json`)
    writeFileSync(path, JSON.stringify(value))
    return [`--${option}`, path]
  })
  return { name, command: executable, args: [command, ...args] }
}

/** The same to its end; gives its messages. */
export function messagesOf(command, inputs) {
  const { command: file, args } = airbyte('', command, inputs)
  const output = execFileSync(file, args, { encoding: 'utf8', maxBuffer: 1024 ** 3 })
  return output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

export function configOf(server, slot, more = {}) {
  return { connectionURI: server.url(), slot_name: slot, publication_name: 'bench', state_type: 'global', ...more }
}

/** What `discover` says, as a client configures it. */
export function catalogOf(config, sync_mode) {
  const { catalog } = messagesOf('discover', { config }).find(({ type }) => type === 'CATALOG')
  return { streams: catalog.streams.map((stream) => ({ stream, sync_mode, destination_sync_mode: 'append' })) }
}

/** Estuary's state: these tables go on at an LSN. */
export function stateAt(lsn, tables) {
  const streams = Object.fromEntries(tables.map((table) => [`public.${table}`, { mode: 'Active' }]))
  return [{ type: 'LEGACY', data: { cursor: lsn, streams } }]
}
