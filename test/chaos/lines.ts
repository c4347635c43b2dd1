import { createReadStream } from 'node:fs'

/** The lines of a file, by newlines alone; throws when the last one has none. */
export async function* linesOf(path: string): AsyncGenerator<string, void, void> {
  let rest = ''
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 1024 * 1024 })) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') throw new Error(`the last line of ${path} is torn: ${rest.slice(0, 300)}`)
}
