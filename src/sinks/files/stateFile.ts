import { readFile, rm } from 'node:fs/promises'
import { STATE_CORRUPT, STATE_FAILED } from '../../core/errors.js'
import { StreamPosition } from '../../source/position.js'
import { replaceFile, temporaryOf } from './replaceFile.js'

/**
 * The object in the state file at `path`, of version 1; the rest of it is the caller's to check. Undefined when there is
 * no such file. Errors: STATE_FAILED, STATE_CORRUPT.
 */
export async function readStateFile(path: string): Promise<Record<string, unknown> | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw STATE_FAILED({ path, problem: (cause as Error).message }, { cause })
  }
  if (text.trim() === '') throw STATE_CORRUPT({ path, problem: 'it is empty' })
  const state = parsed(path, text)
  if (!isObject(state)) throw STATE_CORRUPT({ path, problem: 'it is no JSON object' })
  if (state.version !== 1) throw STATE_CORRUPT({ path, problem: `its version is ${String(state.version)}, not 1` })
  return state
}

/** Replaces the state as a whole: a crash at any moment leaves the old one or the new one, never a mixture. */
export async function writeStateFile(path: string, state: object): Promise<void> {
  try {
    await replaceFile(path, `${JSON.stringify(state)}\n`)
  } catch (cause) {
    throw STATE_FAILED({ path, problem: (cause as Error).message }, { cause })
  }
}

/** Removes what a killed run had not written to its end; for who has the state's lock. Error: STATE_FAILED. */
export async function removeUnfinished(path: string): Promise<void> {
  const unfinished = temporaryOf(path)
  try {
    await rm(unfinished, { force: true })
  } catch (cause) {
    throw STATE_FAILED({ path: unfinished, problem: (cause as Error).message }, { cause })
  }
}

/** Of a state: null before anything was read. */
export function requirePosition(path: string, position: unknown): void {
  if (position === null) return
  try {
    StreamPosition.parse(position)
  } catch (cause) {
    throw STATE_CORRUPT({ path, problem: (cause as Error).message }, { cause })
  }
}

export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw STATE_CORRUPT({ path, problem: 'it is no JSON' }, { cause })
  }
}
