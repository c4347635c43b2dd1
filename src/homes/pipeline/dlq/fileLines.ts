import { type FileHandle, open } from 'node:fs/promises'
import { DEAD_LETTERS_DAMAGED } from '../../../core/deadLetterErrors.js'

const CHUNK_BYTES = 1024 * 1024
const NEWLINE = 0x0a
/** No record of PostgreSQL's is longer. */
const MOST_BYTES = 1024 * 1024 * 1024

export interface Line {
  /** Where it begins. */
  readonly at: number
  /** Without its end. */
  readonly bytes: Buffer
}

/** The whole lines of a file between two places, read as they are asked for: no more than one and a chunk is held. */
export async function* fileLines(path: string, from: number, to: number): AsyncIterable<Line> {
  const file = await openToRead(path)
  if (file === undefined) return
  try {
    let rest: Buffer[] = []
    let held = 0
    let lineAt = from
    for (let at = from; at < to; ) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, to - at))
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at)
      if (bytesRead === 0) return
      at += bytesRead
      const read = chunk.subarray(0, bytesRead)
      let begin = 0
      for (let end = read.indexOf(NEWLINE); end >= 0; end = read.indexOf(NEWLINE, begin)) {
        const bytes = Buffer.concat([...rest, read.subarray(begin, end)])
        rest = []
        held = 0
        begin = end + 1
        yield { at: lineAt, bytes }
        lineAt += bytes.length + 1
      }
      if (begin === read.length) continue
      rest.push(read.subarray(begin))
      held += read.length - begin
      if (held > MOST_BYTES) throw DEAD_LETTERS_DAMAGED({ path, at: lineAt, problem: 'a line is longer than 1 GB' })
    }
  } finally {
    await file.close()
  }
}

/** Undefined: there is no such file. */
export async function openToRead(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
