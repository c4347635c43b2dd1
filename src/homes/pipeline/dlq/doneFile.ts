import { type FileHandle, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { syncFolder } from '../../../sinks/files/replaceFile.js'
import { isObject } from '../../../sinks/files/stateFile.js'
import { fileLines, type Line } from './fileLines.js'
import type { NewCause } from './letterBox.js'

/** Lines `from` to `to` (a place in the file, not included) are done with; `head` is the CRC-32 of the first of them. */
interface Range {
  readonly from: number
  to: number
  readonly head: number
  /** Whether its first line is the one that was meant; undefined: nobody has looked. */
  counts?: boolean
}

/** Written at once at the most. */
const MOST_UNWRITTEN = 1000

/**
 * Which lines of a file of dead letters are done with: a file beside it, `….done`, to which only is added. So a run may go on
 * adding letters meanwhile, and whoever is killed loses none. Lines are known by their place and the CRC-32 of
 * their text: where a run has taken letters back and written others in their place, nothing of them counts.
 */
export class DoneFile {
  readonly path: string
  readonly #letters: string
  #ranges: Range[] = []
  readonly #causes = new Map<number, NewCause & { readonly head: number }>()
  /** Texts that come again and again are held once. */
  readonly #texts = new Map<string, string>()
  #file: FileHandle | undefined
  #open: Range | undefined
  #unwritten: string[] = []

  constructor(lettersPath: string) {
    this.#letters = lettersPath
    this.path = `${lettersPath}.done`
  }

  /** As it is now. */
  async read(): Promise<void> {
    await this.flush()
    const ranges: Range[] = []
    this.#causes.clear()
    for await (const { bytes } of fileLines(this.path, 0, Number.MAX_SAFE_INTEGER)) {
      const entry = parse(bytes)
      if (entry === undefined) continue
      const { from, to, head, problem, sqlstate } = entry
      if (problem !== undefined) this.#causes.set(from, { head, problem: this.#once(problem), sqlstate })
      else ranges.push({ from, to, head })
    }
    this.#ranges = withoutOverlaps(ranges)
  }

  async isDone({ at, bytes }: Line): Promise<boolean> {
    const range = this.#rangeAt(at)
    if (range === undefined) return false
    if (range.from === at) range.counts = range.head === crc32(bytes)
    range.counts ??= await this.#isMeant(range)
    return range.counts
  }

  causeOf({ at, bytes }: Line): NewCause | undefined {
    const cause = this.#causes.get(at)
    return cause?.head === crc32(bytes) ? cause : undefined
  }

  /** The line is done with. */
  async done({ at, bytes }: Line): Promise<void> {
    const to = at + bytes.length + 1
    if (this.#open?.to === at) this.#open.to = to
    else {
      this.#close()
      this.#open = { from: at, to, head: crc32(bytes) }
    }
    if (this.#unwritten.length >= MOST_UNWRITTEN) await this.flush()
  }

  async kept({ at, bytes }: Line, { problem, sqlstate }: NewCause): Promise<void> {
    this.#close()
    const head = crc32(bytes)
    this.#causes.set(at, { head, problem: this.#once(problem), sqlstate })
    this.#unwritten.push(`${JSON.stringify({ from: at, to: at + bytes.length + 1, head, problem, sqlstate })}\n`)
    if (this.#unwritten.length >= MOST_UNWRITTEN) await this.flush()
  }

  /** All of that is durable. */
  async flush(): Promise<void> {
    this.#close()
    if (this.#unwritten.length === 0) return
    const isNew = this.#file === undefined
    this.#file ??= await open(this.path, 'a+')
    // Behind the torn line of one who was killed.
    const { size } = await this.#file.stat()
    const last = Buffer.alloc(1)
    if (size > 0) await this.#file.read(last, 0, 1, size - 1)
    const torn = size > 0 && last[0] !== 0x0a ? '\n' : ''
    await this.#file.appendFile(torn + this.#unwritten.join(''))
    await this.#file.datasync()
    if (isNew) await syncFolder(dirname(this.path))
    this.#unwritten = []
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  async remove(): Promise<void> {
    await this.close()
    await rm(this.path, { force: true })
  }

  #close(): void {
    const range = this.#open
    this.#open = undefined
    if (range === undefined) return
    this.#unwritten.push(`${JSON.stringify(range)}\n`)
  }

  async #isMeant({ from, to, head }: Range): Promise<boolean> {
    for await (const { bytes } of fileLines(this.#letters, from, to)) return head === crc32(bytes)
    return false
  }

  #rangeAt(at: number): Range | undefined {
    let [low, high] = [0, this.#ranges.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ranges[middle]!.from <= at) low = middle + 1
      else high = middle
    }
    const range = this.#ranges[low - 1]
    return range !== undefined && at < range.to ? range : undefined
  }

  #once(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    this.#texts.set(text, text)
    return text
  }
}

/** In order; of two that overlap the one that was written later counts. */
function withoutOverlaps(ranges: readonly Range[]): Range[] {
  const ordered = ranges.map((range, index) => ({ range, index })).sort((a, b) => a.range.from - b.range.from)
  const left: typeof ordered = []
  for (const one of ordered) {
    while (left.length > 0 && left.at(-1)!.range.to > one.range.from && left.at(-1)!.index < one.index) left.pop()
    if (left.length === 0 || left.at(-1)!.range.to <= one.range.from) left.push(one)
  }
  return left.map(({ range }) => range)
}

function parse(bytes: Buffer): (Range & Partial<NewCause>) | undefined {
  try {
    const entry: unknown = JSON.parse(bytes.toString())
    const fits = isObject(entry) && [entry.from, entry.to, entry.head].every(Number.isSafeInteger)
    return fits ? (entry as unknown as Range & Partial<NewCause>) : undefined
  } catch {
    // Torn: what it said is done once more.
    return undefined
  }
}
