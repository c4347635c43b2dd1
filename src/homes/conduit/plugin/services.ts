import { type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import { SourcePluginService } from '../proto/connector/v2/source.js'
import type { SourceConnector } from '../source/sourceConnector.js'
import type { SourceRun } from '../source/sourceRun.js'
import { specification } from '../specification.js'
import { describeError } from './describeError.js'
import { log } from './log.js'

/** A unary call as a function. Of an error the host keeps the text alone; its own plugins use UNKNOWN. */
export function unary<Request, Response>(handle: (request: Request) => Response | Promise<Response>) {
  return async ({ request }: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): Promise<void> => {
    try {
      callback(null, await handle(request))
    } catch (error) {
      callback(grpcError(error))
    }
  }
}

export const specifierHandlers = {
  specify: unary(() => ({ specification: specification() })),
}

/** `Run` with messages that are written, and read, by hand. */
export const SourceService = {
  ...SourcePluginService,
  run: {
    ...SourcePluginService.run,
    requestDeserialize: (message: Buffer) => message,
    responseSerialize: (message: Buffer) => message,
  },
}

export function sourceHandlers(connector: SourceConnector) {
  return {
    configure: unary(({ config }: { config: Record<string, string> }) => {
      connector.configure(config)
      return {}
    }),
    open: unary(async ({ position }: { position: Uint8Array }) => {
      await connector.open(position)
      return {}
    }),
    run: (call: ServerDuplexStream<Buffer, Buffer>) => serveRun(connector, call),
    stop: unary(() => ({ lastPosition: connector.stop() })),
    teardown: unary(async () => {
      await connector.close()
      return {}
    }),
    // Everything is made by the first run that needs it, and goes on with what is there.
    lifecycleOnCreated: unary(() => ({})),
    lifecycleOnUpdated: unary(() => ({})),
    lifecycleOnDeleted: unary(async ({ config }: { config: Record<string, string> }) => {
      await connector.deleted(config)
      return {}
    }),
  }
}

/** Ends only when the host cancels it, which one of its engines does instead of Stop, or with an error. */
function serveRun(connector: SourceConnector, call: ServerDuplexStream<Buffer, Buffer>): void {
  let over = false
  // One for the whole stream: a backlog waits thousands of times.
  let wake = () => {}
  call.on('drain', () => wake())
  const fail = (error: unknown) => {
    if (over) return
    over = true
    wake()
    log('error', describeError(error))
    call.emit('error', grpcError(error))
    void connector.close()
  }
  let run: SourceRun
  try {
    run = connector.begin({
      write: (message) => over || call.write(message),
      drained: () =>
        new Promise((resolve) => {
          if (over) resolve()
          else wake = resolve
        }),
    })
  } catch (error) {
    fail(error)
    return
  }
  call.on('data', (message: Buffer) => {
    try {
      run.acks(message)
    } catch (error) {
      fail(error)
    }
  })
  call.on('cancelled', () => {
    over = true
    wake()
    call.end()
    void connector.close()
  })
  call.on('error', () => {})
  run.run().catch(fail)
}

export function grpcError(error: unknown) {
  return { code: status.UNKNOWN, details: describeError(error) }
}
