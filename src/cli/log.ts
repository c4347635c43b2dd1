import { pino } from 'pino'
import type { LogLevel } from '../core/logLevel.js'

export type LogFields = Readonly<Record<string, unknown>>

export interface LogOptions {
  readonly format: 'text' | 'json'
  /** The least that is told. */
  readonly level: LogLevel
}

type Write = (level: LogLevel, text: string, fields: LogFields) => void

const STDERR = 2
const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

let write: Write = writeText
let least: LogLevel = 'info'
let print = (line: string): void => void process.stderr.write(line)

/** What this process says on stderr: until the options are read, errors and news as text. */
export function configureLog({ format, level }: LogOptions): void {
  least = level
  write = format === 'json' ? jsonWriter() : writeText
}

/** Lines of text go there, as long as something else (progress bars) is being drawn on stderr; undefined ends that. */
export function printThrough(printer: ((line: string) => void) | undefined): void {
  print = printer ?? ((line) => void process.stderr.write(line))
}

/** Tells of something, with its facts for programs that read the log. */
export function log(level: LogLevel, text: string, fields: LogFields = {}): void {
  if (ORDER.indexOf(level) >= ORDER.indexOf(least)) write(level, text, fields)
}

/** How something tells of itself. */
export type Log = typeof log

/** The same with a name before each line, and in its facts: of one pipeline among several. */
export function logOf(pipeline: string): Log {
  return (level, text, fields = {}) => log(level, `[${pipeline}] ${text}`, { pipeline, ...fields })
}

/** In one line: what the server says may have several. */
function writeText(_level: LogLevel, text: string): void {
  print(`tailrace: ${text.replaceAll(/\s*\n\s*/g, ' ')}\n`)
}

function jsonWriter(): Write {
  const destination = pino.destination({ fd: STDERR, sync: true })
  // Whoever has closed our stderr wants to hear no more.
  destination.on('error', () => {})
  const logger = pino(
    {
      base: undefined,
      level: 'debug',
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  return (level, text, fields) => logger[level](fields, text)
}
