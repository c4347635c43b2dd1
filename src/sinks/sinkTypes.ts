import { fileSinkType } from './file/fileSinkType.js'
import { postgresSinkType } from './postgres/postgresSinkType.js'
import type { SinkType } from './sinkType.js'
import { stdoutSinkType } from './stdout/stdoutSink.js'
import { webhookSinkType } from './webhook/webhookSinkType.js'
import { websocketSinkType } from './websocket/websocketSinkType.js'

/** Every kind of sinks that a pipeline's file can name. */
export const sinkTypes: ReadonlyMap<string, SinkType> = new Map([
  ['stdout', stdoutSinkType],
  ['file', fileSinkType],
  ['postgres', postgresSinkType],
  ['webhook', webhookSinkType],
  ['websocket', websocketSinkType],
])
