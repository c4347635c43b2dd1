import {
  KEY_INCOMPLETE,
  ROW_INCOMPLETE,
  TARGET_DENIED,
  TARGET_DISK_FULL,
  TARGET_KEY_NOT_BUILT,
  TARGET_NOT_MADE,
  TARGET_READ_ONLY,
} from '../core/destinationErrors.js'
import { TailraceError } from '../core/tailraceError.js'
import { isTransient, sqlstateOf } from '../postgres/serverError.js'

const INSUFFICIENT_PRIVILEGE = '42501'
const READ_ONLY = '25006'
const DISK_FULL = '53100'
/**
 * Serialization failure, deadlock, a lock not had, cancelled by an administrator, read-only (in recovery, or before a
 * failover), and resources that ran out: the disk is full.
 */
const PASSING = /^(40001|40P01|55P03|57014|25006|53...)$/
/**
 * Data exceptions, integrity constraints, two rows of one key to the server, a view's check option, a trigger's own
 * exception, a limit such as an index row's size, or how deep JSON may be.
 */
const OF_ROWS = /^(22...|23...|21000|44000|P000[1-4]|5400[01])$/
/** The catalog is not as it was read: a table or column renamed, a type altered. */
const OF_SHAPE = /^(42(?!501)...|0A000)$/

/** Another attempt may get through. */
export function isPassing(error: unknown): boolean {
  return isTransient(error) || PASSING.test(sqlstateOf(error) ?? '')
}

/** Another session has to be made: of a server that is read-only, too, since it may not be the primary any more. */
export function isOfConnection(error: unknown): boolean {
  return isTransient(error) || sqlstateOf(error) === READ_ONLY
}

/** It may be one record's fault: then the batch without it can be written. */
export function isOfRows(error: unknown): boolean {
  if (TARGET_KEY_NOT_BUILT.is(error)) return false
  return OF_ROWS.test(sqlstateOf(error) ?? '') || ROW_INCOMPLETE.is(error) || KEY_INCOMPLETE.is(error)
}

export function isOfShape(error: unknown): boolean {
  return OF_SHAPE.test(sqlstateOf(error) ?? '') && !TARGET_KEY_NOT_BUILT.is(error)
}

/** With what to do where the server says nothing of it. `writing`: the tables that were written to. */
export function explained(error: unknown, writing: readonly string[]): unknown {
  const make = EXPLAINED[sqlstateOf(error) ?? '']
  if (make === undefined || TARGET_NOT_MADE.is(error) || TARGET_KEY_NOT_BUILT.is(error)) return error
  return make({ problem: serverText(error as TailraceError), tables: writing.join(', ') }, { cause: error })
}

const EXPLAINED: Readonly<Record<string, typeof TARGET_DISK_FULL>> = {
  [INSUFFICIENT_PRIVILEGE]: TARGET_DENIED,
  [READ_ONLY]: TARGET_READ_ONLY,
  [DISK_FULL]: TARGET_DISK_FULL,
}

/** The server's own words. */
export function serverText(error: Error): string {
  const { message, detail } = error instanceof TailraceError ? error.details : {}
  if (typeof message !== 'string') return error.message
  return typeof detail === 'string' ? `${message} (${detail})` : message
}
