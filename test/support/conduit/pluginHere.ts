import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { DestinationConnector } from '../../../src/homes/conduit/destination/destinationConnector.js'
import { readEnvironment } from '../../../src/homes/conduit/plugin/environment.js'
import { handshakeLine } from '../../../src/homes/conduit/plugin/handshake.js'
import { configureLog } from '../../../src/homes/conduit/plugin/log.js'
import { startServer } from '../../../src/homes/conduit/plugin/server.js'
import { SchemaService } from '../../../src/homes/conduit/schema/schemaService.js'
import { SourceConnector } from '../../../src/homes/conduit/source/sourceConnector.js'

/**
 * The plugin in this process, by what its host uses of a child: one of its own takes 0.3 s of processor time. All that it
 * does is there but its end by a signal, and the watch over its host.
 */
export async function startPluginHere(env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const environment = readEnvironment(env)
  configureLog(environment.logLevel)
  const schemas = new SchemaService(environment)
  const source = new SourceConnector(environment.connectorId, schemas)
  const destination = new DestinationConnector(environment.connectorId, schemas)
  const child = Object.assign(new EventEmitter(), {
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    exitCode: null as number | null,
    signalCode: null,
    pid: process.pid,
    kill: () => end(),
  })
  const stopListening = logTo(child.stderr)
  let ending = false
  const end = () => {
    if (ending) return
    ending = true
    void Promise.all([source.close(), destination.close()])
      .catch(() => {})
      .then(() => {
        server.close()
        stopListening()
        child.exitCode = 0
        child.emit('exit', 0, null)
      })
  }
  const { maxReceiveBytes } = environment
  const server = await startServer({ maxReceiveBytes, source, destination, onShutdown: end, onCall: () => {} })
  child.stdout.write(handshakeLine(server.listening))
  return child as unknown as ChildProcess
}

const logs = new Set<PassThrough>()
let write: typeof process.stderr.write | undefined

/** The plugin's lines on standard error go there, until the end; those of several go to each. */
function logTo(stream: PassThrough): () => void {
  logs.add(stream)
  if (write === undefined) {
    const original = process.stderr.write
    write = original
    process.stderr.write = ((...args: Parameters<typeof original>) => {
      if (!String(args[0]).startsWith('{"@level"')) return original.apply(process.stderr, args)
      for (const one of logs) one.write(args[0])
      return true
    }) as typeof original
  }
  return () => {
    logs.delete(stream)
    if (logs.size > 0 || write === undefined) return
    process.stderr.write = write
    write = undefined
  }
}
