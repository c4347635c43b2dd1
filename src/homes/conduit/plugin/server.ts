import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DestinationConnector } from '../destination/destinationConnector.js'
import type { SourceConnector } from '../source/sourceConnector.js'
import { describeError } from './describeError.js'
import { GrpcServer } from './grpc/grpcServer.js'
import type { Listening } from './handshake.js'
import { addDestination, addPlugin, addSource } from './services.js'

export interface ServerWishes {
  readonly maxReceiveBytes: number
  readonly source: SourceConnector
  readonly destination: DestinationConnector
  /** The host wants the process to end; its answer is out. May be called twice. */
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

/** All services of the plugin, on a socket that this user alone can reach. */
export async function startServer({
  maxReceiveBytes,
  source,
  destination,
  onShutdown,
  onCall,
}: ServerWishes): Promise<PluginServer> {
  const server = new GrpcServer({ maxReceiveBytes, describe: describeError, onCall })
  addPlugin(server, onShutdown)
  addSource(server, source)
  addDestination(server, destination)
  const { listening, folder } = await listen(server)
  return {
    listening,
    close: () => {
      server.close()
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function listen(server: GrpcServer): Promise<{ listening: Listening; folder: string | undefined }> {
  const folder = socketFolder()
  if (folder !== undefined) {
    const address = join(folder, 'sock')
    try {
      await server.listen({ path: address })
      return { listening: { network: 'unix', address }, folder }
    } catch {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
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
