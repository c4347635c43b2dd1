import { createReadStream } from 'node:fs'

const NEWLINE = 10

/** The lines of an NDJSON file, as latin1: only what is ASCII in them is looked at. */
export async function* linesOf(file) {
  let rest = ''
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    const end = chunk.lastIndexOf(NEWLINE)
    if (end < 0) {
      rest += chunk.latin1Slice()
      continue
    }
    yield* (rest + chunk.latin1Slice(0, end)).split('\n')
    rest = chunk.latin1Slice(end + 1)
  }
  if (rest !== '') throw new Error(`${file} ends within a line`)
}
