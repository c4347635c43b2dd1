export type EmbeddedErrorCode =
  | 'EMBEDDED_BINARIES_MISSING'
  | 'EMBEDDED_BINARIES_UNUSABLE'
  | 'EMBEDDED_FOLDER_UNREACHABLE'
  | 'EMBEDDED_INITDB_FAILED'
  | 'EMBEDDED_START_FAILED'
  | 'EMBEDDED_STOP_FAILED'

/** A failure of the throw-away server that the demo and the tests start; never one of capturing changes. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError'
  readonly code: EmbeddedErrorCode
  readonly hint: string

  constructor(code: EmbeddedErrorCode, message: string, hint: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.hint = hint
  }
}
