import type { LogLevel } from '../../../core/logLevel.js'

export type LogFields = Readonly<Record<string, unknown>>

const ORDER = ['trace', 'debug', 'info', 'warn', 'error']
/** The host passes longer lines on unread, at level debug. */
const MAX_LINE = 60_000

let least = 0

/** What the host does not show need not be written. */
export function configureLog(level: string): void {
  least = Math.max(0, ORDER.indexOf(level.toLowerCase()))
}

/** A line on standard error, as the host reads them: it shows the message, with `fields` beside it. */
export function log(level: LogLevel, message: string, fields: LogFields = {}): void {
  if (ORDER.indexOf(level) >= least) process.stderr.write(logLine(level, message, fields))
}

/** The three with an @ must be texts: anything else ends the host's process. */
export function logLine(level: LogLevel, message: string, fields: LogFields): string {
  const others = Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith('@')))
  const line = `${JSON.stringify({ '@level': level, '@message': message, ...others })}\n`
  if (Buffer.byteLength(line) <= MAX_LINE) return line
  const short = Buffer.from(message)
    .subarray(0, MAX_LINE / 8)
    .toString()
  return `${JSON.stringify({ '@level': level, '@message': `${short}…` })}\n`
}
