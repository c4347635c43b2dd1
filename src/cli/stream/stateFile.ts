import { readFile } from 'node:fs/promises'
import { STATE_CORRUPT, STATE_FAILED } from '../../core/errors.js'
import { replaceFile } from '../../sinks/files/replaceFile.js'
import { StreamPosition } from '../../source/position.js'

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
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw STATE_FAILED({ path, problem: (cause as Error).message }, { cause })
  }
  if (text.trim() === '') throw STATE_CORRUPT({ path, problem: 'it is empty' })
  let state: unknown
  try {
    state = JSON.parse(text)
  } catch (cause) {
    throw STATE_CORRUPT({ path, problem: 'it is no JSON' }, { cause })
  }
  return checked(path, state)
}

/** Replaces the state as a whole: a crash at any moment leaves the old one or the new one, never a mixture. */
export async function writeState(path: string, state: State): Promise<void> {
  try {
    await replaceFile(path, `${JSON.stringify(state)}\n`)
  } catch (cause) {
    throw STATE_FAILED({ path, problem: (cause as Error).message }, { cause })
  }
}

function checked(path: string, json: unknown): State {
  const corrupt = (problem: string, cause?: unknown) => STATE_CORRUPT({ path, problem }, { cause })
  if (!isObject(json)) throw corrupt('it is no JSON object')
  const { version, position, output } = json
  if (version !== 1) throw corrupt(`its version is ${String(version)}, not 1`)
  if (position !== null) {
    try {
      StreamPosition.parse(position)
    } catch (cause) {
      throw corrupt((cause as Error).message, cause)
    }
  }
  if (output !== undefined) {
    const { file, start, bytes } = isObject(output) ? output : {}
    const lengths = Number.isSafeInteger(start) && Number.isSafeInteger(bytes)
    if (!lengths || (file !== null && typeof file !== 'string')) throw corrupt('its output is damaged')
  }
  return json as unknown as State
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null
}
