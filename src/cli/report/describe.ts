import { describeBytes, describeSeconds } from '../../core/quantity.js'
import type { SourceEvent } from '../../source/events.js'
import type { LogLevel } from '../log.js'
import { count } from './format.js'

type Type = SourceEvent['type']

/** How much each kind of event matters: what a run waits for, or lost, is told also to whoever wants to hear little. */
export const LEVELS: Readonly<Record<Type, LogLevel>> = {
  connected: 'debug',
  capturing: 'debug',
  'waiting-for-transactions': 'warn',
  'waiting-for-lock': 'warn',
  'slot-created': 'debug',
  'slot-waiting': 'warn',
  'publication-created': 'debug',
  'snapshot-started': 'info',
  'snapshot-progress': 'info',
  'snapshot-table-finished': 'debug',
  'lock-waited-for': 'warn',
  'snapshot-finished': 'info',
  streaming: 'info',
  'stream-progress': 'info',
  reconnecting: 'warn',
  'table-dropped': 'warn',
  warning: 'warn',
}

/** Less than this the server writes while it answers. */
const CAUGHT_UP_BYTES = 1024 * 1024

/** An event in words, on one line. */
export function describe(event: SourceEvent): string {
  switch (event.type) {
    case 'connected':
      return `connected to database ${event.database} on PostgreSQL ${event.serverVersion}`
    case 'capturing':
      return `capturing ${event.tables.join(', ')}`
    case 'waiting-for-transactions':
      return `waiting for running transactions since ${event.seconds} s: ${event.holders.join(', ')}`
    case 'waiting-for-lock':
      return `waiting for a lock on the tables since ${event.seconds} s: ${event.holders.join(', ')}`
    case 'slot-created':
      return `made the ${event.temporary ? 'temporary ' : ''}slot ${event.slot} at ${event.lsn}`
    case 'slot-waiting':
      return `slot ${event.slot} is in use; waited ${event.seconds} s so far for its reader to go`
    case 'publication-created':
      return `made the publication ${event.publication} of ${plural(event.tables, 'table')}`
    case 'snapshot-started':
      return `snapshot of ${plural(event.tables, 'table')}, ${about(event.estimatedRows)}`
    case 'snapshot-progress':
      return `snapshot of ${event.table}: ${count(event.rows)} ${event.rows > event.estimatedRows ? 'rows so far' : `of ${about(event.estimatedRows)}`}`
    case 'snapshot-table-finished':
      return `snapshot of ${event.table} finished: ${plural(event.rows, 'row')}`
    case 'snapshot-finished':
      return `snapshot finished: ${plural(event.rows, 'row')} in ${describeSeconds(event.seconds)}`
    case 'lock-waited-for':
      return `the snapshot keeps pid ${event.pid} (${event.application ?? 'no name'}) from its ${event.mode} on ${event.table}`
    case 'streaming':
      return `streaming from ${event.lsn} (slot ${event.slot})`
    case 'stream-progress':
      return `streaming: ${plural(event.records, 'record')}, at ${event.lsn}, ${lag(event)}`
    case 'reconnecting':
      return `${event.cause.message}; trying again in ${describeSeconds(event.delayMs / 1000)}`
    case 'table-dropped':
      return `warning: table ${event.table} was dropped; the others go on`
    case 'warning':
      return `warning: ${event.code}: ${event.message}. ${event.hint}`
  }
}

/** How far behind the server a stream is. */
export function lag({ lagBytes, lagSeconds }: { readonly lagBytes: number; readonly lagSeconds: number }): string {
  if (lagSeconds > 0) return `${describeBytes(lagBytes)} and ${describeSeconds(lagSeconds)} behind`
  return lagBytes < CAUGHT_UP_BYTES ? 'caught up' : `${describeBytes(lagBytes)} behind`
}

/** Tables that were never analyzed have no estimate. */
function about(estimatedRows: number): string {
  return estimatedRows === 0 ? 'how many rows is not known' : `about ${plural(estimatedRows, 'row')}`
}

function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`
}
