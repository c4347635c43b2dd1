import { DestinationConnector } from '../destination/destinationConnector.js'
import { SchemaService } from '../schema/schemaService.js'
import { SourceConnector } from '../source/sourceConnector.js'
import { connectorYaml } from '../specification.js'
import { PLUGIN_VERSION } from '../version.js'
import { describeError } from './describeError.js'
import { forgetProxies, readEnvironment } from './environment.js'
import { handshakeLine, whyNoHost } from './handshake.js'
import { HostWatch } from './hostWatch.js'
import { configureLog, log } from './log.js'
import { type PluginServer, startServer } from './server.js'
import { printOut } from './stdout.js'

/** Connections to the server are closed cleanly in that time, or cut. */
const CLOSE_MS = 1500

/** What the command line asks for; the host gives none. */
export async function runPlugin(args: readonly string[]): Promise<void> {
  const [command] = args
  if (command !== undefined) return runByHand(command)
  const problem = whyNoHost(process.env)
  if (problem !== undefined) {
    process.stderr.write(`${problem}\n`)
    process.exit(1)
  }
  await serve()
}

function runByHand(command: string): void {
  if (command === 'version') printOut(`${PLUGIN_VERSION}\n`)
  else if (['spec', 'specs', 'specification', 'specifications'].includes(command)) printOut(connectorYaml())
  else {
    process.stderr.write(`unknown argument "${command}": there are "version" and "spec"\n`)
    process.exit(1)
  }
}

async function serve(): Promise<void> {
  const environment = readEnvironment(process.env)
  const { connectorId, logLevel, maxReceiveBytes } = environment
  forgetProxies(process.env)
  configureLog(logLevel)
  // Ctrl-C goes to the whole group, and the host still wants to drain us.
  process.on('SIGINT', () => {})
  // A host that is gone reads no log.
  process.stderr.on('error', () => {})
  const schemas = new SchemaService(environment)
  const source = new SourceConnector(connectorId, schemas)
  const destination = new DestinationConnector(connectorId, schemas)
  let server: PluginServer | undefined
  let ending = false
  const end = (code: number) => {
    if (ending) return
    ending = true
    const closing = Promise.all([source.close(), destination.close()])
    const closed = closing.catch((error) => log('warn', `while closing: ${describeError(error)}`))
    const limit = new Promise((resolve) => setTimeout(resolve, CLOSE_MS))
    void Promise.race([closed, limit]).then(() => {
      server?.close()
      process.exit(code)
    })
  }
  process.on('SIGTERM', () => end(143))
  for (const fault of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(fault, (error: unknown) => {
      log('error', describeError(error))
      end(1)
    })
  }
  const host = new HostWatch((why) => {
    log('info', `${why}: this process ends`)
    end(1)
  })
  server = await startServer({
    maxReceiveBytes,
    source,
    destination,
    onCall: host.called,
    onShutdown: () => end(0),
  })
  printOut(handshakeLine(server.listening))
}
