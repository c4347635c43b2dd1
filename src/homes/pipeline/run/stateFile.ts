import { readFile } from 'node:fs/promises'
import { STATE_CORRUPT, STATE_FAILED } from '../../../core/errors.js'
import { replaceFile } from '../../../sinks/files/replaceFile.js'
import { StreamPosition } from '../../../source/position.js'
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
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw STATE_FAILED({ path, problem: (cause as Error).message }, { cause })
  }
  if (text.trim() === '') throw STATE_CORRUPT({ path, problem: 'it is empty' })
  try {
    return checked(path, JSON.parse(text))
  } catch (cause) {
    if (STATE_CORRUPT.is(cause)) throw cause
    throw STATE_CORRUPT({ path, problem: (cause as Error).message }, { cause })
  }
}

export async function writePipelineState(path: string, state: PipelineState): Promise<void> {
  try {
    await replaceFile(path, `${JSON.stringify(state)}\n`)
  } catch (cause) {
    throw STATE_FAILED({ path, problem: (cause as Error).message }, { cause })
  }
}

function checked(path: string, json: unknown): PipelineState {
  if (!isObject(json)) throw STATE_CORRUPT({ path, problem: 'it is no JSON object' })
  if (json.version !== 1) throw STATE_CORRUPT({ path, problem: `its version is ${String(json.version)}, not 1` })
  if (!isObject(json.sinks)) {
    throw STATE_CORRUPT({ path, problem: 'it is no state of a pipeline, maybe one of tailrace stream' })
  }
  requireSinks(path, json.sinks)
  const { pending = [] } = json
  if (!Array.isArray(pending)) throw STATE_CORRUPT({ path, problem: 'its "pending" is damaged' })
  for (const place of pending) {
    if (!isObject(place) || !isObject(place.sinks)) throw STATE_CORRUPT({ path, problem: 'its "pending" is damaged' })
    StreamPosition.parse(place.position)
    requireSinks(path, place.sinks)
  }
  return json as unknown as PipelineState
}

function requireSinks(path: string, sinks: Record<string, unknown>): void {
  for (const [name, sink] of Object.entries(sinks)) {
    if (!isObject(sink)) throw STATE_CORRUPT({ path, problem: `what it says of the sink ${name} is damaged` })
    if (sink.position !== null) StreamPosition.parse(sink.position)
    if (!isMark(sink.mark) || !isMark(sink.start)) {
      throw STATE_CORRUPT({ path, problem: `the mark of the sink ${name} is damaged` })
    }
  }
}

function isMark(json: unknown): boolean {
  return json === null || isObject(json)
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}
