import type { DestinationConnector } from '../destination/destinationConnector.js'
import { DestinationPluginService } from '../proto/connector/v2/destination.js'
import { SourcePluginService } from '../proto/connector/v2/source.js'
import { SpecifierPluginService } from '../proto/connector/v2/specifier.js'
import { GRPCControllerService } from '../proto/plugin/controller.js'
import { GRPCStdioService } from '../proto/plugin/stdio.js'
import type { SourceConnector } from '../source/sourceConnector.js'
import { specification } from '../specification.js'
import { describeError } from './describeError.js'
import type { GrpcServer } from './grpc/grpcServer.js'
import type { StreamCall, StreamListener } from './grpc/streamCall.js'
import { log } from './log.js'

const NOTHING = {}
/** The answer to Shutdown is out by then, should we not see that it is. */
const ANSWER_MS = 20

/** What go-plugin itself calls, and the specification. */
export function addPlugin(server: GrpcServer, onShutdown: () => void): void {
  server.unary(SpecifierPluginService.specify, () => ({ specification: specification() }))
  const shutDown = () => {
    setTimeout(onShutdown, ANSWER_MS)
    return NOTHING
  }
  server.unary(GRPCControllerService.shutdown, shutDown, () => setImmediate(onShutdown))
  // Nothing is printed on standard output; standard error the host has by itself.
  const nothing = () => {}
  server.stream(GRPCStdioService.streamStdio, () => ({ onMessage: nothing, onCancelled: nothing, onFailed: nothing }))
}

export function addSource(server: GrpcServer, connector: SourceConnector): void {
  const methods = SourcePluginService
  server.unary(methods.configure, ({ config }) => {
    connector.configure(config)
    return NOTHING
  })
  server.unary(methods.open, async ({ position }) => {
    await connector.open(position)
    return NOTHING
  })
  server.stream(methods.run, (call) => {
    const outlet = {
      write: (parts: readonly Buffer[], done: () => void) => call.writeParts(parts, done),
      drained: () => call.drained(),
    }
    const run = connector.begin(outlet)
    const acks = (bytes: Buffer, start: number, end: number) => run.acks(bytes, start, end)
    return { ...serveRun(call, connector, run, acks), readsAtOnce: true }
  })
  server.unary(methods.stop, () => ({ lastPosition: connector.stop() }))
  server.unary(methods.teardown, async () => {
    await connector.close()
    return NOTHING
  })
  // Everything is made by the first run that needs it, and goes on with what is there.
  server.unary(methods.lifecycleOnCreated, () => NOTHING)
  server.unary(methods.lifecycleOnUpdated, () => NOTHING)
  server.unary(methods.lifecycleOnDeleted, async ({ config }) => {
    await connector.deleted(config)
    return NOTHING
  })
}

export function addDestination(server: GrpcServer, connector: DestinationConnector): void {
  const methods = DestinationPluginService
  server.unary(methods.configure, ({ config }) => {
    connector.configure(config)
    return NOTHING
  })
  server.unary(methods.open, async () => {
    await connector.open()
    return NOTHING
  })
  server.stream(methods.run, (call) => {
    const run = connector.begin(call)
    return serveRun(call, connector, run, (bytes, start, end) => run.take(bytes.subarray(start, end)))
  })
  server.unary(methods.stop, async ({ lastPosition }) => {
    await connector.stop(lastPosition)
    return NOTHING
  })
  server.unary(methods.teardown, async () => {
    await connector.close()
    return NOTHING
  })
  // Nothing is kept beside the tables.
  server.unary(methods.lifecycleOnCreated, () => NOTHING)
  server.unary(methods.lifecycleOnUpdated, () => NOTHING)
  server.unary(methods.lifecycleOnDeleted, () => NOTHING)
}

/** Ends only when the host cancels it, which one of its engines does instead of Stop, or with an error. */
function serveRun(
  call: StreamCall,
  connector: { close(): Promise<void> },
  run: { run(): Promise<void> },
  onMessage: StreamListener['onMessage'],
): StreamListener {
  run.run().catch((error) => call.fail(error))
  return {
    onMessage,
    onCancelled: () => void connector.close(),
    onFailed: (error) => {
      log('error', describeError(error))
      void connector.close()
    },
  }
}
