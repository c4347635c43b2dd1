import { formatLsn } from '../../../postgres/lsn.js'
import { StreamPosition } from '../../../source/position.js'
import type { StreamDescriptor } from '../protocol/messages.js'
import { legacyName } from './legacyName.js'
import { type Refresh, refreshToJson } from './refreshState.js'

export type StateType = 'global' | 'stream' | 'legacy'

/** A stream as states have it. */
export interface StatedStream {
  readonly descriptor: StreamDescriptor
  /** OID of its table; undefined: of a full refresh, which has no state. */
  readonly oid: number | undefined
  /** Of a full refresh that is not finished: what it has read. */
  readonly refresh?: Refresh | undefined
  /** Records since the state before. */
  readonly records: number
}

/** The lines of one checkpoint: of all streams, or with `stream` of those given, one each. */
export function stateLines(
  type: StateType,
  position: StreamPosition | undefined,
  streams: readonly StatedStream[],
): string {
  if (type === 'stream') return streams.map((one) => streamLine(position, one)).join('')
  const records = streams.reduce((sum, one) => sum + one.records, 0)
  const shared = position === undefined ? {} : positionState(position)
  const states = streams.map(({ descriptor, oid, refresh }) => ({
    stream_descriptor: descriptor,
    stream_state:
      oid === undefined || position === undefined || !isCaptured(position, oid)
        ? refreshState(refresh)
        : { version: 1, mode: modeOf(position, oid) },
  }))
  if (type === 'global') {
    return line({ type: 'GLOBAL', global: { shared_state: shared, stream_states: states } }, records)
  }
  const named = states.map(({ stream_descriptor: one, stream_state: state }) => [legacyName(one), state])
  return line({ type: 'LEGACY', data: { version: 1, ...shared, streams: Object.fromEntries(named) } }, records)
}

function streamLine(position: StreamPosition | undefined, stated: StatedStream): string {
  const { descriptor, oid, refresh, records } = stated
  const state =
    position === undefined || oid === undefined
      ? refreshState(refresh)
      : { ...positionState(ofTable(position, oid)), mode: modeOf(position, oid) }
  return line({ type: 'STREAM', stream: { stream_descriptor: descriptor, stream_state: state } }, records)
}

/** A finished one begins anew at the next sync. */
function refreshState(refresh: Refresh | undefined): object {
  return refresh === undefined ? {} : refreshToJson(refresh)
}

/** `version` and `lsn` for people; all else is in the position. */
function positionState(position: StreamPosition): object {
  return { version: 1, lsn: formatLsn(position.resumeLsn), position: position.toJSON() }
}

/** A stream's state is gone: when it is wanted again it is read from its beginning. */
export function resetLine(descriptor: StreamDescriptor): string {
  return line({ type: 'STREAM', stream: { stream_descriptor: descriptor, stream_state: null } }, 0)
}

/** The position as far as it concerns one table. */
function ofTable({ origin, place }: StreamPosition, oid: number): StreamPosition {
  const { snapshot } = place
  const tables = snapshot?.tables?.filter((one) => one.oid === oid) ?? []
  const unproved = snapshot?.unproved?.filter((one) => one.tables.includes(oid))
  return new StreamPosition(
    { ...origin, captured: [oid], leaving: undefined },
    { ...place, snapshot: tables.length === 0 ? undefined : { ...snapshot!, tables, unproved } },
  )
}

/** Of one that the position does not know nothing was read: with a state it would count as read. */
function isCaptured({ origin: { captured } }: StreamPosition, oid: number): boolean {
  return captured === undefined || captured.includes(oid)
}

/** `scanning`: some of its rows are still to be read. */
export function modeOf({ place }: StreamPosition, oid: number): 'scanning' | 'active' {
  const table = place.snapshot?.tables?.find((one) => one.oid === oid)
  return table?.stretches.some(({ read }) => read === undefined) ? 'scanning' : 'active'
}

/** The count as a number with a decimal point, as the protocol asks. */
function line(state: object, records: number): string {
  const json = JSON.stringify({ type: 'STATE', state })
  return `${json.slice(0, -2)},"sourceStats":{"recordCount":${records}.0}}}\n`
}
