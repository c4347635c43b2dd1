import type { ByteWriter } from '../../../core/byteWriter.js'
import type { StreamLines } from './streamLines.js'

/** What an entry takes beside the characters of its lines and its key: objects, and their place in the map. */
const ENTRY_BYTES = 200

interface Held {
  readonly stream: StreamLines
  /** When the key was touched first, counted in records. */
  readonly first: number
  /** RECORD lines, a character a byte: a text is memory that can be given back by itself, unlike a piece of a buffer. */
  lines: string
  count: number
}

/**
 * RECORD lines that are not written yet, of each key the last (setting `compact`). They stand in the order in which their
 * keys were touched first, and are written in that order: a place of the stream is safe to be stated as soon as all is
 * written whose key was touched first before it, since what follows comes again from there.
 */
export class HeldRecords {
  readonly #held = new Map<string, Held>()
  /** Records that were ever held. */
  #taken = 0
  #generation = 0
  #bytes = 0

  /** Characters of lines and keys, and what it takes to keep them. */
  get bytes(): number {
    return this.#bytes
  }

  /** The number of the next record. */
  get next(): number {
    return this.#taken
  }

  /** Of the records that are held, when the first of them came; of none, the next. */
  get oldest(): number {
    const [first] = this.#held.values()
    return first === undefined ? this.#taken : first.first
  }

  /**
   * Holds a line of a record, in place of what is held of its key. `key`: undefined for a table without one. `whole`: the
   * row has all its columns, and what came before it says nothing that it does not.
   */
  hold(stream: StreamLines, key: string | undefined, line: string, whole: boolean): void {
    const number = this.#taken++
    const name = key === undefined ? `#${number}` : `${this.#generation}/${stream.number}/${key}`
    const held = this.#held.get(name)
    if (held === undefined) {
      this.#held.set(name, { stream, first: number, lines: line, count: 1 })
      this.#bytes += ENTRY_BYTES + name.length + line.length
    } else if (whole) {
      this.#bytes += line.length - held.lines.length
      held.lines = line
      held.count = 1
    } else {
      this.#bytes += line.length
      held.lines += line
      held.count++
    }
  }

  /** What is held from now on stands behind all that was before, whatever its key. */
  separate(): void {
    this.#generation++
  }

  /** Writes the oldest until no more than `keep` bytes are held, or `writer` has `atMost`; gives whether it came to an end. */
  write(writer: ByteWriter, keep: number, atMost: number): boolean {
    for (const [name, { stream, lines, count }] of this.#held) {
      if (this.#bytes <= keep) return true
      if (writer.size >= atMost) return false
      writer.writeAscii(lines)
      stream.wrote(count, writer)
      this.#held.delete(name)
      this.#bytes -= ENTRY_BYTES + name.length + lines.length
    }
    return true
  }
}
