/** How a stream is called in a catalog, a state or a trace. */
export interface StreamDescriptor {
  readonly name: string
  readonly namespace?: string
}

export type LogLevel = 'FATAL' | 'ERROR' | 'WARN' | 'INFO' | 'DEBUG'
export type StreamStatus = 'STARTED' | 'RUNNING' | 'COMPLETE' | 'INCOMPLETE'
export type FailureType = 'system_error' | 'config_error' | 'transient_error'

/** One AirbyteMessage: `type`, and the one payload that it names. */
export type Message = { readonly type: string } & Readonly<Record<string, unknown>>

export function logMessage(level: LogLevel, message: string): Message {
  return { type: 'LOG', log: { level, message } }
}

export function statusMessage(status: StreamStatus, descriptor: StreamDescriptor): Message {
  return trace('STREAM_STATUS', { stream_status: { stream_descriptor: descriptor, status } })
}

export function estimateMessage({ name, namespace }: StreamDescriptor, rows: number, bytes: number): Message {
  const estimate = { name, namespace, type: 'STREAM', row_estimate: rows, byte_estimate: bytes }
  return trace('ESTIMATE', { estimate })
}

export function errorMessage(error: {
  readonly message: string
  readonly internal: string
  readonly stack: string | undefined
  readonly failure: FailureType
  readonly stream?: StreamDescriptor | undefined
}): Message {
  return trace('ERROR', {
    error: {
      message: error.message,
      internal_message: error.internal,
      ...(error.stack !== undefined && { stack_trace: error.stack }),
      failure_type: error.failure,
      ...(error.stream !== undefined && { stream_descriptor: error.stream }),
    },
  })
}

export function connectionStatusMessage(status: 'SUCCEEDED' | 'FAILED', message: string | undefined): Message {
  return { type: 'CONNECTION_STATUS', connectionStatus: { status, ...(message !== undefined && { message }) } }
}

function trace(type: string, payload: object): Message {
  return { type: 'TRACE', trace: { type, emitted_at: Date.now(), ...payload } }
}
