import pg from 'pg'
import { CONNECTION_LOST, SERVER_ERROR, SERVER_UNAVAILABLE } from '../core/errors.js'
import { TailraceError } from '../core/tailraceError.js'

/** Field letters of ErrorResponse and NoticeResponse ("Error and Notice Message Fields" in the PostgreSQL docs). */
const FIELDS: Readonly<Record<string, string>> = {
  V: 'severity',
  C: 'sqlstate',
  M: 'message',
  D: 'detail',
  H: 'hint',
  W: 'where',
  s: 'schema',
  t: 'table',
  c: 'column',
  n: 'constraint',
}

export interface ServerMessage {
  readonly severity?: string
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly constraint?: string
}

/** The fields of the ErrorResponse or NoticeResponse payload `bytes[start..end)`. */
export function readServerMessage(bytes: Buffer, start: number, end: number): ServerMessage {
  const fields: Record<string, string> = { sqlstate: 'XX000', message: 'unknown error' }
  let p = start
  while (p < end && bytes[p] !== 0) {
    const name = FIELDS[String.fromCharCode(bytes[p]!)]
    const terminator = bytes.indexOf(0, p + 1)
    if (terminator < 0 || terminator >= end) break
    if (name !== undefined) fields[name] = bytes.toString('utf8', p + 1, terminator)
    p = terminator + 1
  }
  return fields as unknown as ServerMessage
}

/** An ErrorResponse as an error of ours, every field kept in `details`. */
export function serverError(message: ServerMessage, options?: ErrorOptions): TailraceError {
  const make = UNAVAILABLE.test(message.sqlstate) ? SERVER_UNAVAILABLE : SERVER_ERROR
  return make({ ...message }, options)
}

/** Connection exceptions but for the protocol's violation, too many connections, a server that starts, stops or crashed. */
const UNAVAILABLE = /^(08(?!P01)...|53300|57P0[123])$/

/** Whatever `pg` threw, as an error of ours with the original as its cause. */
export function fromDriver(cause: unknown, to: string): TailraceError {
  if (cause instanceof TailraceError) return cause
  if (cause instanceof pg.DatabaseError) {
    return serverError(
      {
        sqlstate: cause.code ?? 'XX000',
        message: cause.message,
        ...(cause.severity !== undefined && { severity: cause.severity }),
        ...(cause.detail !== undefined && { detail: cause.detail }),
        ...(cause.hint !== undefined && { hint: cause.hint }),
        ...(cause.where !== undefined && { where: cause.where }),
        ...(cause.schema !== undefined && { schema: cause.schema }),
        ...(cause.table !== undefined && { table: cause.table }),
        ...(cause.column !== undefined && { column: cause.column }),
        ...(cause.constraint !== undefined && { constraint: cause.constraint }),
      },
      { cause },
    )
  }
  return CONNECTION_LOST({ to, problem: describeCause(cause) }, { cause })
}

/** Node's network errors often have an empty message and only a code, or several errors inside. */
export function describeCause(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) {
    return [...new Set(cause.errors.map(describeCause))].join('; ')
  }
  if (cause instanceof Error) return cause.message || (cause as NodeJS.ErrnoException).code || cause.name
  return String(cause)
}

/** The server's SQLSTATE, when `error` came from it. */
export function sqlstateOf(error: unknown): string | undefined {
  if (!(error instanceof TailraceError)) return undefined
  const { sqlstate } = error.details
  return typeof sqlstate === 'string' ? sqlstate : undefined
}

/**
 * Whether waiting and connecting again may help: connection exceptions (08), a server that starts, stops or crashed
 * (57P01 to 57P03), too many connections (53300), and a walsender that gave us up for silent.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof TailraceError)) return false
  const sqlstate = sqlstateOf(error)
  if (sqlstate === undefined) return error.retry === 'later'
  const hasEnded = /^(08...|57P0[123]|25P03|53300)$/.test(sqlstate)
  return hasEnded || error.retry === 'later'
}
