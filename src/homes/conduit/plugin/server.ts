import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js'
import type { DestinationConnector } from '../destination/destinationConnector.js'
import { SpecifierPluginService } from '../proto/connector/v2/specifier.js'
import { GRPCControllerService } from '../proto/plugin/controller.js'
import { GRPCStdioService } from '../proto/plugin/stdio.js'
import type { SourceConnector } from '../source/sourceConnector.js'
import { DestinationService, destinationHandlers } from './destinationService.js'
import type { Listening } from './handshake.js'
import { SourceService, sourceHandlers, specifierHandlers, unary } from './services.js'

export interface ServerWishes {
  readonly maxReceiveBytes: number
  readonly source: SourceConnector
  readonly destination: DestinationConnector
  /** The host wants the process to end; its answer is on its way. */
  readonly onShutdown: () => void
  /** The host has called. */
  readonly onCall: () => void
}

export interface PluginServer {
  readonly listening: Listening
  /** Nothing is left of it then. */
  close(): void
}

/** A path of a socket can have no more bytes. */
const MAX_SOCKET_PATH = 100
/** Windows of HTTP/2 as large as what is sent in one go: the default of 64 kB would be asked for again and again. */
const WINDOW_BYTES = 4 * 1024 * 1024

/** All services of the plugin, on a socket that this user alone can reach. */
export async function startServer({
  maxReceiveBytes,
  source,
  destination,
  onShutdown,
  onCall,
}: ServerWishes): Promise<PluginServer> {
  const server = new Server({
    'grpc.max_receive_message_length': maxReceiveBytes,
    'grpc.max_send_message_length': -1,
    'grpc-node.flow_control_window': WINDOW_BYTES,
  })
  const counted = <Handlers extends object>(handlers: Handlers): Handlers => {
    const entries = Object.entries(handlers).map(([name, handle]) => [
      name,
      (...call: unknown[]) => {
        onCall()
        return (handle as (...call: unknown[]) => unknown)(...call)
      },
    ])
    return Object.fromEntries(entries) as Handlers
  }
  server.addService(SpecifierPluginService, counted(specifierHandlers))
  server.addService(SourceService, counted(sourceHandlers(source)))
  server.addService(DestinationService, counted(destinationHandlers(destination)))
  server.addService(GRPCControllerService, {
    shutdown: unary(() => {
      setImmediate(onShutdown)
      return {}
    }),
  })
  // Nothing is printed on standard output; standard error the host has by itself.
  server.addService(GRPCStdioService, counted({ streamStdio: (_: ServerWritableStream<unknown, unknown>) => {} }))
  const { listening, folder } = await listen(server)
  return {
    listening,
    close: () => {
      server.forceShutdown()
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function listen(server: Server): Promise<{ listening: Listening; folder: string | undefined }> {
  const folder = socketFolder()
  if (folder !== undefined) {
    const address = join(folder, 'sock')
    try {
      await bind(server, `unix:${address}`)
      return { listening: { network: 'unix', address }, folder }
    } catch {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  const port = await bind(server, '127.0.0.1:0')
  return { listening: { network: 'tcp', address: `127.0.0.1:${port}` }, folder: undefined }
}

/** Only its owner may enter it. */
function socketFolder(): string | undefined {
  if (process.platform === 'win32') return undefined
  try {
    const folder = mkdtempSync(join(tmpdir(), 'plugin-tailrace-'))
    if (Buffer.byteLength(folder) < MAX_SOCKET_PATH) return folder
    rmSync(folder, { recursive: true, force: true })
  } catch {
    // Then TCP.
  }
  return undefined
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
}
