/** The status codes of gRPC that we give, or look for. */
export const OK = 0
export const UNKNOWN = 2
export const DEADLINE_EXCEEDED = 4
export const RESOURCE_EXHAUSTED = 8
export const UNIMPLEMENTED = 12
export const UNAVAILABLE = 14

/** A fault of the call itself, with the status that it ends with; of any other error that is UNKNOWN, as in Go. */
export class GrpcFailure extends Error {
  override readonly name = 'GrpcFailure'
  readonly status: number

  constructor(status: number, details: string) {
    super(details)
    this.status = status
  }
}

/** An error as header fields; of its text what is no printable ASCII is percent-encoded. */
export function statusHeaders(error: unknown, describe: (error: unknown) => string): Record<string, string> {
  const [status, details] = error instanceof GrpcFailure ? [error.status, error.message] : [UNKNOWN, describe(error)]
  // Half of a surrogate pair has no UTF-8.
  const text = Buffer.from(details).toString()
  return { 'grpc-status': String(status), 'grpc-message': encodeURI(text) }
}
