import { SINK_REJECTED } from '../../core/customSinkErrors.js'
import { TailraceError } from '../../core/tailraceError.js'

/** Why a sink rejects a record, as an error of ours. */
export function rejection(cause: unknown): TailraceError {
  if (cause instanceof TailraceError) return cause
  return SINK_REJECTED({ problem: cause instanceof Error ? cause.message : String(cause) }, { cause })
}
