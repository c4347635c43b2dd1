import { STATE_CORRUPT } from '../../core/errors.js'
import { isObject, readStateFile, requirePosition, writeStateFile } from '../../sinks/files/stateFile.js'

/** What `--state` keeps: where to resume, and how long the output was there. */
export interface State {
  readonly version: 1
  /** Of the source, as its `toJSON` gave it; null before anything was read. */
  readonly position: object | null
  readonly output:
    | {
        /** Absolute path of `--output`; null for standard output. */
        readonly file: string | null
        /** Its length where the snapshot began: an unfinished one begins again there. */
        readonly start: number
        /** Its length at the position. */
        readonly bytes: number
      }
    | undefined
}

/** The state in the file at `path`; undefined when there is no such file. */
export async function readState(path: string): Promise<State | undefined> {
  const state = await readStateFile(path)
  if (state === undefined) return undefined
  requirePosition(path, state.position)
  if (state.output !== undefined) {
    const { file, start, bytes } = isObject(state.output) ? state.output : {}
    const lengths = Number.isSafeInteger(start) && Number.isSafeInteger(bytes)
    if (!lengths || (file !== null && typeof file !== 'string')) {
      throw STATE_CORRUPT({ path, problem: 'its output is damaged' })
    }
  }
  return state as unknown as State
}

export function writeState(path: string, state: State): Promise<void> {
  return writeStateFile(path, state)
}
