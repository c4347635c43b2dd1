import { STATE_CORRUPT } from '../../../core/errors.js'
import { isObject, readStateFile, requirePosition, writeStateFile } from '../../../sinks/files/stateFile.js'
import type { SinkProgress } from './events.js'

/** What a pipeline's state file keeps: how far each sink is. */
export interface PipelineState {
  readonly version: 1
  readonly sinks: Readonly<Record<string, SinkProgress>>
  /**
   * Places beyond that, in order, which a sink that stores positions itself may have committed: if it stands at one, the
   * others are there, too.
   */
  readonly pending?: readonly PendingPlace[]
}

export interface PendingPlace {
  readonly position: object
  /** Of the others. */
  readonly sinks: Readonly<Record<string, SinkProgress>>
}

/** The state in the file at `path`; undefined when there is no such file. */
export async function readPipelineState(path: string): Promise<PipelineState | undefined> {
  const state = await readStateFile(path)
  if (state === undefined) return undefined
  if (!isObject(state.sinks)) {
    throw STATE_CORRUPT({ path, problem: 'it is no state of a pipeline, maybe one of tailrace stream' })
  }
  requireSinks(path, state.sinks)
  const { pending = [] } = state
  if (!Array.isArray(pending)) throw STATE_CORRUPT({ path, problem: 'its "pending" is damaged' })
  for (const place of pending) {
    if (!isObject(place) || !isObject(place.sinks)) throw STATE_CORRUPT({ path, problem: 'its "pending" is damaged' })
    requirePosition(path, place.position)
    requireSinks(path, place.sinks)
  }
  return state as unknown as PipelineState
}

export function writePipelineState(path: string, state: PipelineState): Promise<void> {
  return writeStateFile(path, state)
}

function requireSinks(path: string, sinks: Record<string, unknown>): void {
  for (const [name, sink] of Object.entries(sinks)) {
    if (!isObject(sink)) throw STATE_CORRUPT({ path, problem: `what it says of the sink ${name} is damaged` })
    requirePosition(path, sink.position)
    if (!isMark(sink.mark) || !isMark(sink.start)) {
      throw STATE_CORRUPT({ path, problem: `the mark of the sink ${name} is damaged` })
    }
  }
}

function isMark(json: unknown): boolean {
  return json === null || isObject(json)
}
