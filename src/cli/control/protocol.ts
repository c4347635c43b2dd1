import { SIGNAL_INVALID } from '../../core/errors.js'
import { nearest } from '../../core/nearest.js'
import type { Retry } from '../../core/tailraceError.js'
import { namesOne, parseTablePatterns } from '../../postgres/tablePattern.js'
import type { RunStatus } from './runStatus.js'

/** Raised when a client of before could misunderstand what it is told. */
export const PROTOCOL_VERSION = 1

/**
 * What a client asks of a run, a JSON object on a line: `{"version":1,"id":1,"command":"add","tables":"orders"}`. `id`
 * is the client's own, and comes back with each answer.
 */
export type Request = { readonly id?: string | number } & SignalRequest

export type SignalRequest =
  | { readonly command: 'status' }
  | { readonly command: 'add' | 'remove'; readonly tables: string }
  | { readonly command: 'resnapshot'; readonly table: string; readonly where?: string }

/**
 * What the run answers, also an object a line: `accepted` at once, `waiting` every two seconds with what the run is at, and
 * at last `done` or `error`. Each has `version` and the request's `id`.
 */
export type Answer =
  | { readonly type: 'accepted' }
  | { readonly type: 'waiting'; readonly seconds: number; readonly for?: string }
  | { readonly type: 'done'; readonly result: Result }
  | { readonly type: 'error'; readonly error: ToldError }

export type Result =
  | { readonly command: 'status'; readonly status: RunStatus }
  | { readonly command: 'add' | 'remove'; readonly tables: readonly string[] }
  /** `rows`: when the run has told by then that they are all read. */
  | { readonly command: 'resnapshot'; readonly table: string; readonly rows?: number }

/** An error of the run, on its way to the client. */
export interface ToldError {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly retry: Retry
}

/** At least this often a run says that it is still at it. */
export const WAITING_EVERY_MS = 2000

const COMMANDS = ['status', 'add', 'remove', 'resnapshot'] as const

/** The request on this line; throws `SIGNAL_INVALID` or, for the names in it, `TABLE_PATTERN_INVALID`. */
export function readRequest(line: string): Request {
  const { version, id, command, ...rest } = readObject(line)
  if (version !== PROTOCOL_VERSION) {
    throw invalid(`its version is ${shown(version)}, and this run speaks version ${PROTOCOL_VERSION}`)
  }
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number') throw invalid('its id is no text or number')
  return { ...(id !== undefined && { id }), ...readCommand(command, rest) }
}

/** What is asked; throws as {@link readRequest}. */
export function readCommand(
  command: unknown,
  { tables, table, where }: Readonly<Record<string, unknown>>,
): SignalRequest {
  switch (command) {
    case 'status':
      return { command }
    case 'add':
    case 'remove': {
      if (typeof tables !== 'string') throw invalid(`${command} takes the tables' names as one text, "tables"`)
      parseTablePatterns(tables)
      return { command, tables }
    }
    case 'resnapshot': {
      if (typeof table !== 'string') throw invalid('resnapshot takes the name of one table, "table"')
      if (where !== undefined && typeof where !== 'string') throw invalid('"where" is no text')
      if (!namesOneTable(table)) throw invalid(`resnapshot takes one table, and not ${shown(table)}`)
      return { command, table, ...(where !== undefined && { where }) }
    }
    default: {
      const near = typeof command === 'string' ? nearest(command, COMMANDS) : undefined
      throw SIGNAL_INVALID({ problem: `there is no command ${shown(command)}`, near })
    }
  }
}

/** Whether the text is one table's name; throws `TABLE_PATTERN_INVALID`. */
export function namesOneTable(text: string): boolean {
  const [first, ...more] = parseTablePatterns(text)
  return first !== undefined && more.length === 0 && namesOne(first)
}

/** A line as the object that it must be. */
export function readObject(line: string): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch (cause) {
    throw invalid(`the line is no JSON: ${shown(line)}`, cause)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw invalid('the line is no JSON object')
  return json as Record<string, unknown>
}

function invalid(problem: string, cause?: unknown) {
  return SIGNAL_INVALID({ problem, near: undefined }, { cause })
}

const SHOWN = 60

/** As much of it as fits into a message. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing'
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text
}

/** Messages of either side, as they go onto the wire. */
export function writeMessage(message: SignalRequest | Answer, id: string | number | undefined): string {
  return `${JSON.stringify({ version: PROTOCOL_VERSION, id, ...message })}\n`
}
