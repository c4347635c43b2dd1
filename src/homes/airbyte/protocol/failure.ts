import { TailraceError } from '../../../core/tailraceError.js'
import { isTransient } from '../../../postgres/serverError.js'
import { errorMessage, type FailureType, type Message, type StreamDescriptor } from './messages.js'
import { inConfiguration } from './wording.js'

/** What went wrong, with the way out: the text that a platform shows its user. */
export function describeFailure(error: unknown): string {
  if (error instanceof TailraceError) return `${error.message}. ${inConfiguration(error.hint)}`
  return `internal error, please report it: ${error instanceof Error ? error.message : String(error)}`
}

/** Who can mend it: the user, time, or we. */
function failureType(error: unknown): FailureType {
  if (!(error instanceof TailraceError) || error.retry === 'never') return 'system_error'
  return isTransient(error) ? 'transient_error' : 'config_error'
}

/** `error` as a trace; of a fault of ours with the place, which helps whoever mends it. */
export function failureMessage(error: unknown, stream?: StreamDescriptor): Message {
  const failure = failureType(error)
  const known = error instanceof TailraceError
  return errorMessage({
    message: describeFailure(error),
    internal: known ? `${error.code}: ${error.message}` : String(error),
    stack: failure === 'system_error' && error instanceof Error ? error.stack : undefined,
    failure,
    stream,
  })
}
