import { CommanderError } from 'commander'
import {
  COLUMN_NOT_FOUND,
  CONNECTION_MISSING,
  CONNECTION_STRING_INVALID,
  KEY_TABLE_UNKNOWN,
  OUTPUT_CLOSED,
  SETTING_INVALID,
  SETTING_UNKNOWN,
  TABLE_PATTERN_INVALID,
} from '../core/errors.js'
import { TailraceError } from '../core/tailraceError.js'
import { tell } from './tell.js'

const FAILED = 1
const WRONG_USAGE = 2
/** What a shell shows for a program that died of SIGPIPE. */
const CLOSED_PIPE = 141

const USAGE_ERRORS = [
  SETTING_INVALID,
  SETTING_UNKNOWN,
  TABLE_PATTERN_INVALID,
  CONNECTION_MISSING,
  CONNECTION_STRING_INVALID,
  COLUMN_NOT_FOUND,
  KEY_TABLE_UNKNOWN,
]

/** Tells of `error` on stderr, in one line, and gives the exit code. */
export function fail(error: unknown): number {
  // commander has printed its own.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE
  if (OUTPUT_CLOSED.is(error)) return CLOSED_PIPE
  if (error instanceof TailraceError) {
    tell(`${error.code}: ${error.message}. ${error.hint}`)
    return USAGE_ERRORS.some((usage) => usage.is(error)) ? WRONG_USAGE : FAILED
  }
  const { code, hint } = error as { code?: unknown; hint?: unknown }
  if (error instanceof Error && typeof code === 'string' && typeof hint === 'string') {
    tell(`${code}: ${error.message}. ${hint}`)
    return FAILED
  }
  // A fault of ours: the place helps whoever mends it.
  process.stderr.write(`tailrace: internal error, please report it: ${error instanceof Error ? error.stack : error}\n`)
  return FAILED
}
