import { readFile } from 'node:fs/promises'
import { AIRBYTE_FILE_UNREADABLE } from '../../core/airbyteErrors.js'

/** The JSON document in a file that an option names; undefined for an empty file. */
export async function readJson(option: string, path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw AIRBYTE_FILE_UNREADABLE({ option, path, problem: (cause as Error).message }, { cause })
  }
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    // The parser's own message has a piece of the text, which may be a password.
    throw AIRBYTE_FILE_UNREADABLE({ option, path, problem: 'it is no JSON' })
  }
}

export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
