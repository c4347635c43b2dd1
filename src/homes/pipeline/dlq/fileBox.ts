import { jsonMembers } from '../../../codec/payload/jsonRow.js'
import { DEAD_LETTERS_BUSY, DEAD_LETTERS_DAMAGED } from '../../../core/deadLetterErrors.js'
import { OUTPUT_LOCKED } from '../../../core/errors.js'
import { PAYLOAD_INVALID } from '../../../core/payloadErrors.js'
import { StateLock } from '../../../sinks/files/stateLock.js'
import { DoneFile } from './doneFile.js'
import { fileLines, type Line, openToRead } from './fileLines.js'
import { type Letter, type LetterFilter, meansLetter } from './letter.js'
import type { LetterBox, NewCause } from './letterBox.js'

/** Files whose letters this process is taking out: a lock says nothing of its own process. */
const claimed = new Set<string>()

/**
 * Dead letters in a file. A run may be adding to it: only up to `end` (what is recorded; undefined: all whole lines) letters are
 * looked at, and the file itself is never changed.
 */
export class FileBox implements LetterBox {
  readonly place: string
  readonly #sink: string
  readonly #end: number | undefined
  readonly #done: DoneFile
  readonly #lines = new WeakMap<Letter, Line>()
  #lock: StateLock | undefined

  constructor(sink: string, path: string, end: number | undefined) {
    this.place = path
    this.#sink = sink
    this.#end = end
    this.#done = new DoneFile(path)
  }

  async claim(): Promise<void> {
    const busy = (problem: string) => DEAD_LETTERS_BUSY({ sink: this.#sink, problem })
    if (claimed.has(this.place)) throw busy('this process is at it already')
    claimed.add(this.place)
    try {
      this.#lock = await StateLock.take(this.#done.path, OUTPUT_LOCKED)
    } catch (error) {
      claimed.delete(this.place)
      if (!OUTPUT_LOCKED.is(error)) throw error
      throw busy(`process ${String(error.details.pid)} is at it`)
    }
  }

  async *letters(filter: LetterFilter): AsyncIterable<Letter> {
    const isMeant = meansLetter(filter)
    const from = filter.from === undefined ? 0 : await this.#beginAt(Number(filter.from))
    const last = filter.to === undefined ? Number.POSITIVE_INFINITY : Number(filter.to)
    const limit = filter.limit ?? Number.POSITIVE_INFINITY
    await this.#done.read()
    let given = 0
    for await (const line of fileLines(this.place, from, await this.#length())) {
      if (line.at > last || given >= limit || filter.gone?.()) return
      if (await this.#done.isDone(line)) continue
      const letter = this.#letterOf(line)
      if (!isMeant(letter)) continue
      given++
      this.#lines.set(letter, line)
      yield letter
    }
  }

  async find(number: string): Promise<Letter | undefined> {
    if (!/^\d{1,15}$/.test(number) || (await this.#beginAt(Number(number))) !== Number(number)) return undefined
    for await (const letter of this.letters({ from: number, to: number })) return letter
    return undefined
  }

  async remove(letter: Letter): Promise<void> {
    await this.#done.done(this.#lines.get(letter)!)
  }

  async keep(letter: Letter, cause: NewCause): Promise<void> {
    await this.#done.kept(this.#lines.get(letter)!, cause)
  }

  settle(): Promise<void> {
    return this.#done.flush()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#done.close()
    const lock = this.#lock
    this.#lock = undefined
    if (lock === undefined) return
    await lock[Symbol.asyncDispose]()
    claimed.delete(this.place)
  }

  async #length(): Promise<number> {
    await using file = await openToRead(this.place)
    const size = file === undefined ? 0 : (await file.stat()).size
    return Math.min(size, this.#end ?? size)
  }

  /** The first place at or behind `at` where a line begins. */
  async #beginAt(at: number): Promise<number> {
    if (at === 0) return 0
    for await (const { bytes } of fileLines(this.place, at - 1, await this.#length())) return at + bytes.length
    return Number.MAX_SAFE_INTEGER
  }

  #letterOf(line: Line): Letter {
    try {
      const members = jsonMembers(line.bytes.toString())
      const text = (name: string) => {
        const json = members.get(name)
        return json === undefined ? undefined : String(JSON.parse(json))
      }
      const cause = this.#done.causeOf(line)
      return {
        number: String(line.at),
        at: text('at') ?? '',
        source: text('source') ?? '',
        id: text('id') ?? '',
        target: text('target') ?? '',
        sqlstate: cause === undefined ? text('sqlstate') : cause.sqlstate,
        problem: cause?.problem ?? text('problem') ?? '',
        record: members.get('record') ?? 'null',
      }
    } catch (cause) {
      if (!PAYLOAD_INVALID.is(cause)) throw cause
      throw DEAD_LETTERS_DAMAGED({ path: this.place, at: line.at, problem: 'a line is no JSON object' }, { cause })
    }
  }
}
