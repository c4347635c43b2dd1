import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { DestinationConnector } from '../destination/destinationConnector.js'
import type { DestinationRun } from '../destination/destinationRun.js'
import { DestinationPluginService } from '../proto/connector/v2/destination.js'
import { describeError } from './describeError.js'
import { log } from './log.js'
import { grpcError, unary } from './services.js'

type Config = Record<string, string>

/** `Run` with messages that are written, and read, by hand. */
export const DestinationService = {
  ...DestinationPluginService,
  run: {
    ...DestinationPluginService.run,
    requestDeserialize: (message: Buffer) => message,
    responseSerialize: (message: Buffer) => message,
  },
}

export function destinationHandlers(connector: DestinationConnector) {
  return {
    configure: unary(({ config }: { config: Config }) => {
      connector.configure(config)
      return {}
    }),
    open: unary(async () => {
      await connector.open()
      return {}
    }),
    run: (call: ServerDuplexStream<Buffer, Buffer>) => serveRun(connector, call),
    stop: unary(async ({ lastPosition }: { lastPosition: Buffer }) => {
      await connector.stop(lastPosition)
      return {}
    }),
    teardown: unary(async () => {
      await connector.close()
      return {}
    }),
    // Nothing is kept beside the tables.
    lifecycleOnCreated: unary(() => ({})),
    lifecycleOnUpdated: unary(() => ({})),
    lifecycleOnDeleted: unary(() => ({})),
  }
}

/** Ends only when the host cancels it, which one of its engines does instead of Stop, or with an error. */
function serveRun(connector: DestinationConnector, call: ServerDuplexStream<Buffer, Buffer>): void {
  let over = false
  const fail = (error: unknown) => {
    if (over) return
    over = true
    log('error', describeError(error))
    call.emit('error', grpcError(error))
    void connector.close()
  }
  let run: DestinationRun
  try {
    run = connector.begin({
      write: (message) => {
        if (!over) call.write(message)
      },
      pause: () => call.pause(),
      resume: () => call.resume(),
    })
  } catch (error) {
    fail(error)
    return
  }
  call.on('data', (message: Buffer) => {
    try {
      run.take(message)
    } catch (error) {
      fail(error)
    }
  })
  call.on('cancelled', () => {
    over = true
    call.end()
    void connector.close()
  })
  call.on('error', () => {})
  run.run().catch(fail)
}
