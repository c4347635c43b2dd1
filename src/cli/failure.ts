import { CommanderError } from 'commander'
import {
  COLUMN_NOT_FOUND,
  COMMAND_UNKNOWN,
  CONNECTION_MISSING,
  CONNECTION_STRING_INVALID,
  KEY_TABLE_UNKNOWN,
  OPTION_INVALID,
  OPTION_MISSING,
  OPTION_UNKNOWN,
  OUTPUT_CLOSED,
  SETTING_INVALID,
  SETTING_UNKNOWN,
  TABLE_PATTERN_INVALID,
} from '../core/errors.js'
import { HTTP_ADDRESS_INVALID, HTTP_APART, HTTP_TOKEN_MISSING, HTTP_TOKEN_UNFIT } from '../core/httpErrors.js'
import { PIPELINE_UNREADABLE, PIPELINES_CLASH } from '../core/pipelineErrors.js'
import { TailraceError } from '../core/tailraceError.js'
import { type Log, log } from './log.js'

const FAILED = 1
const WRONG_USAGE = 2
/** What a shell shows for a program that died of SIGPIPE. */
const CLOSED_PIPE = 141

const USAGE_ERRORS = [
  COMMAND_UNKNOWN,
  OPTION_UNKNOWN,
  OPTION_MISSING,
  OPTION_INVALID,
  SETTING_INVALID,
  SETTING_UNKNOWN,
  TABLE_PATTERN_INVALID,
  CONNECTION_MISSING,
  CONNECTION_STRING_INVALID,
  COLUMN_NOT_FOUND,
  KEY_TABLE_UNKNOWN,
  PIPELINE_UNREADABLE,
  PIPELINES_CLASH,
  HTTP_ADDRESS_INVALID,
  HTTP_APART,
  HTTP_TOKEN_MISSING,
  HTTP_TOKEN_UNFIT,
]

/** Tells of `error` on stderr, in one line, and gives the exit code. */
export function fail(error: unknown, say: Log = log): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0
    // Without a command the help was printed, and there is nothing more to say.
    const wrong = usageError(error)
    return wrong === undefined ? WRONG_USAGE : fail(wrong, say)
  }
  if (OUTPUT_CLOSED.is(error)) return CLOSED_PIPE
  if (error instanceof TailraceError) {
    const { code, message, hint, retry } = error
    say('error', `${code}: ${message}. ${hint}`, { code, hint, retry })
    return USAGE_ERRORS.some((usage) => usage.is(error)) ? WRONG_USAGE : FAILED
  }
  const { code, hint } = error as { code?: unknown; hint?: unknown }
  if (error instanceof Error && typeof code === 'string' && typeof hint === 'string') {
    say('error', `${code}: ${error.message}. ${hint}`, { code, hint })
    return FAILED
  }
  // A fault of ours: the place helps whoever mends it.
  const stack = error instanceof Error ? error.stack : String(error)
  say('error', `internal error, please report it: ${stack}`)
  return FAILED
}

const USAGE = {
  'commander.unknownCommand': COMMAND_UNKNOWN,
  'commander.unknownOption': OPTION_UNKNOWN,
  'commander.missingMandatoryOptionValue': OPTION_MISSING,
  'commander.optionMissingArgument': OPTION_MISSING,
  'commander.missingArgument': OPTION_MISSING,
  'commander.invalidArgument': OPTION_INVALID,
  'commander.conflictingOption': OPTION_INVALID,
  'commander.excessArguments': OPTION_INVALID,
} as const

/** What commander says, `error: unknown option '--tabels'\n(Did you mean --tables?)`, as an error of ours. */
function usageError({ code, message }: CommanderError): TailraceError | undefined {
  const make = USAGE[code as keyof typeof USAGE]
  if (make === undefined) return undefined
  const [problem, suggestion] = maskPasswords(message).split('\n')
  const near = /\(Did you mean (?:one of )?(.*)\?\)/.exec(suggestion ?? '')?.[1]
  return make({ problem: problem!.replace(/^error: /, '').replace(/\.$/, ''), near })
}

/** A mistyped option may stand before a URL or key/value string with a password. */
function maskPasswords(text: string): string {
  return text.replace(/:\/\/[^\s']*@/g, '://***@').replace(/password\s*=.*/g, 'password=***')
}
