import { TailraceError } from '../../../core/tailraceError.js'

/** All that a user gets to read of an error: the host keeps its text alone. */
export function describeError(error: unknown): string {
  if (error instanceof TailraceError) return `${error.code}: ${error.message}. ${error.hint}`
  // A fault of ours: the place helps whoever mends it.
  return `internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`
}
