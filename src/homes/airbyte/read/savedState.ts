import { AIRBYTE_STATE_INVALID } from '../../../core/airbyteErrors.js'
import type { Lsn } from '../../../postgres/lsn.js'
import { StreamPosition } from '../../../source/position.js'
import type { StreamDescriptor } from '../protocol/messages.js'
import { type Fields, isFields } from '../readJson.js'
import { airbyteLsn, estuaryLsn, isAirbyteFinished } from './foreignState.js'
import { parseLegacyName } from './legacyName.js'
import { isRefreshing, parseRefresh, type Refresh } from './refreshState.js'

/** What an earlier run left: of each stream where it was. */
export interface SavedState {
  readonly streams: readonly SavedStream[]
  /** Full refreshes that were not finished. */
  readonly refreshes: readonly SavedRefresh[]
}

export interface SavedRefresh {
  readonly descriptor: StreamDescriptor
  readonly refresh: Refresh
}

export interface SavedStream {
  readonly descriptor: StreamDescriptor
  /** A position of ours, or where Estuary's or Airbyte's connector was. */
  readonly at: StreamPosition | Lsn
}

export const NO_STATE: SavedState = { streams: [], refreshes: [] }

/**
 * Reads a state in every shape that clients pass: nothing at all, a list of state objects, one of them, a whole STATE
 * message, the bare data of a legacy state, with nulls and under other names; ours of each type, Estuary's and Airbyte's own.
 */
export function readState(document: unknown): SavedState {
  const elements = Array.isArray(document) ? document : [document]
  const saved = elements.flatMap(readElement)
  return {
    streams: saved.filter((one) => 'at' in one),
    refreshes: saved.filter((one) => 'refresh' in one),
  }
}

function readElement(element: unknown): (SavedStream | SavedRefresh)[] {
  if (element === undefined || element === null) return []
  if (!isFields(element)) throw invalid('it is no JSON object')
  if (element.type === 'STATE' && isFields(element.state)) return readElement(element.state)
  const { stream, data } = element
  const global = element.global ?? element.global_
  if (isFields(stream)) return readStream(stream)
  if (isFields(global)) return readGlobal(global)
  if (isFields(data)) return readData(data)
  // Nothing but a type, and keys that are null.
  if (Object.entries(element).every(([name, value]) => value === null || name === 'type')) return []
  return readData(element)
}

function readStream({ stream_descriptor: descriptor, stream_state: state }: Fields): (SavedStream | SavedRefresh)[] {
  if (!isFields(state) || Object.keys(state).length === 0) return []
  if (isRefreshing(state)) return [{ descriptor: readDescriptor(descriptor), refresh: parseRefresh(state) }]
  return [{ descriptor: readDescriptor(descriptor), at: positionOf(state) }]
}

/** A stream whose state is missing has been reset. */
function readGlobal({ shared_state: shared, stream_states: states }: Fields): (SavedStream | SavedRefresh)[] {
  const known = Array.isArray(states) ? states.filter(isFields) : []
  const refreshing = known
    .filter(({ stream_state: state }) => isFields(state) && isRefreshing(state))
    .flatMap(readStream)
  if (!isFields(shared) || Object.keys(shared).length === 0) return refreshing
  const airbyte = airbyteLsn(shared)
  const at = airbyte ?? positionOf(shared)
  const finished = known.filter(({ stream_state: state }) => {
    if (!isFields(state) || isRefreshing(state)) return false
    // What it had not finished is read anew: it goes through a table in another way.
    return airbyte === undefined ? Object.keys(state).length > 0 : isAirbyteFinished(state)
  })
  return [
    ...finished.map(({ stream_descriptor: descriptor }) => ({ descriptor: readDescriptor(descriptor), at })),
    ...refreshing,
  ]
}

function readData(data: Fields): (SavedStream | SavedRefresh)[] {
  const { streams, position } = data
  const states = isFields(streams) ? Object.entries(streams).filter(([, state]) => isFields(state)) : []
  const refreshing = states.flatMap(([name, state]) => {
    return isRefreshing(state as Fields)
      ? [{ descriptor: parseLegacyName(name), refresh: parseRefresh(state as Fields) }]
      : []
  })
  // One that is empty is of a full refresh, or of a stream that nothing was read of.
  const named = states.filter(([, state]) => Object.keys(state as Fields).length > 0 && !isRefreshing(state as Fields))
  if (position !== undefined && position !== null) {
    const at = positionOf(data)
    return [...named.map(([name]) => ({ descriptor: parseLegacyName(name), at })), ...refreshing]
  }
  const cursor = estuaryLsn(data.current_lsn ?? data.cursor)
  if (cursor !== undefined) {
    // What it had not finished is read anew: its keys are coded in a way of its own.
    const active = named.filter(([, state]) => (state as Fields).mode === 'Active')
    return active.map(([name]) => ({ descriptor: parseLegacyName(name), at: cursor }))
  }
  if (Object.keys(data).length === 0 || data.version === 1) return refreshing
  throw invalid(`it is of another connector (${Object.keys(data).slice(0, 5).join(', ')})`)
}

function positionOf({ position }: Fields): StreamPosition {
  if (isFields(position)) return StreamPosition.parse(position)
  throw invalid('it has no position of ours, so that it is of another connector')
}

function readDescriptor(descriptor: unknown): StreamDescriptor {
  if (!isFields(descriptor) || typeof descriptor.name !== 'string') throw invalid('a stream of it has no name')
  const { name, namespace } = descriptor
  return { name, ...(typeof namespace === 'string' && { namespace }) }
}

/** What was saved of a stream; by its name alone where that is the only one and one of both has no namespace. */
export function savedOf<Saved extends { readonly descriptor: StreamDescriptor }>(
  streams: readonly Saved[],
  { name, namespace }: StreamDescriptor,
): Saved | undefined {
  const named = streams.filter(({ descriptor }) => descriptor.name === name)
  const exact = named.findLast(({ descriptor }) => descriptor.namespace === namespace)
  if (exact !== undefined) return exact
  const loose = named.filter(({ descriptor }) => descriptor.namespace === undefined || namespace === undefined)
  return loose.length === 1 ? loose[0] : undefined
}

function invalid(problem: string) {
  return AIRBYTE_STATE_INVALID({ problem })
}
