import type { LogLevel } from '../core/logLevel.js'
import { count, describeBytes, describeSeconds } from '../core/quantity.js'
import type { SourceEvent } from './events.js'

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
  'large-transaction': 'info',
  polling: 'info',
  'stream-progress': 'info',
  'wal-retention': 'warn',
  'snapshot-paused': 'warn',
  heartbeat: 'debug',
  stalled: 'warn',
  'stall-ended': 'warn',
  reconnecting: 'warn',
  'table-dropped': 'warn',
  'partition-attached': 'warn',
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
    case 'large-transaction':
      return `transaction ${event.xid} has not committed yet: ${describeBytes(event.bytes)} received`
    case 'polling':
      return `polling ${plural(event.tables, 'table')}, ${describeSeconds(event.intervalMs / 1000)} between two polls`
    case 'stream-progress':
      return `streaming: ${plural(event.records, 'record')}, at ${event.lsn}, ${lag(event)}`
    case 'wal-retention':
      return describeRetention(event)
    case 'snapshot-paused':
      return event.paused
        ? 'the snapshot rests, so that the stream can catch up and the slot give WAL back'
        : 'the snapshot goes on'
    case 'heartbeat':
      return `wrote a heartbeat: slot ${event.slot} stood still and held ${describeBytes(event.heldBytes)} of WAL`
    case 'stalled':
      return `warning: no progress, waiting for ${event.side === 'tailrace' ? 'tailrace itself, please report it' : `the ${event.side}`}: ${event.problem}`
    case 'stall-ended':
      return `it goes on after ${describeSeconds(event.seconds)}, the ${event.side} having been waited for`
    case 'reconnecting':
      return `${event.cause.message}; trying again in ${describeSeconds(event.delayMs / 1000)}`
    case 'table-dropped':
      return `warning: table ${event.table} was dropped; the others go on`
    case 'partition-attached':
      return `partition ${event.partition} was attached to ${event.table}: ${event.read ? 'its rows follow' : 'its rows are not read, since there is no snapshot'}`
    case 'warning':
      return `warning: ${event.code}: ${event.message}. ${event.hint}`
  }
}

/** How far behind the server a stream is. */
export function lag({ lagBytes, lagSeconds }: { readonly lagBytes: number; readonly lagSeconds: number }): string {
  if (lagSeconds > 0) return `${describeBytes(lagBytes)} and ${describeSeconds(lagSeconds)} behind`
  return lagBytes < CAUGHT_UP_BYTES ? 'caught up' : `${describeBytes(lagBytes)} behind`
}

function describeRetention(event: Extract<SourceEvent, { type: 'wal-retention' }>): string {
  const { slot, level, limit, limitBytes, bytesPerSecond, secondsToLimit, unconfirmedBytes, walStatus } = event
  const held = `slot ${slot} holds ${describeBytes(event.heldBytes)} of WAL`
  if (level === 'lost') return `warning: slot ${slot} is lost`
  if (walStatus === 'unreserved') {
    return `warning: ${held}, more than max_slot_wal_keep_size lets it: at its next checkpoint the server may take it away, and the slot is lost`
  }
  if (limitBytes === undefined) return held
  const name = limit === 'walBudgetBytes' ? 'the budget' : limit
  const allowed = `${describeBytes(limitBytes)} (${name})`
  if (level === 'ok') return `${held} again, of ${allowed}`
  const confirmed = `${describeBytes(unconfirmedBytes)} not confirmed`
  if (level === 'reached') return `warning: ${held} (${confirmed}), over the ${allowed}`
  const left =
    secondsToLimit === undefined
      ? ''
      : `; at ${describeBytes(bytesPerSecond)} a second that is reached in ${describeSeconds(secondsToLimit)}`
  return `${level === 'near' ? 'warning: ' : ''}${held} (${confirmed}) of the ${allowed} that it may${left}`
}

/** Tables that were never analyzed have no estimate. */
function about(estimatedRows: number): string {
  return estimatedRows === 0 ? 'how many rows is not known' : `about ${plural(estimatedRows, 'row')}`
}

function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`
}
