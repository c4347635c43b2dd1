import { SIGNAL_INVALID } from '../../core/errors.js'

/** A request, or an answer with the names of thousands of tables, is shorter; whoever sends more speaks another language. */
export const MAX_LINE_BYTES = 1024 * 1024

const NEWLINE = 0x0a

/** Splits what a socket gives into lines of UTF-8, however they are cut on the way. */
export class LineReader {
  readonly #maxBytes: number
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  #pieces: Uint8Array[] = []
  #length = 0

  constructor(maxBytes = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** The lines that `chunk` completes, one by one. Throws `SIGNAL_INVALID`: after that nothing of it can be trusted. */
  *push(chunk: Uint8Array): Generator<string, void, void> {
    let from = 0
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, from)
      const piece = chunk.subarray(from, newline === -1 ? chunk.length : newline)
      this.#length += piece.length
      if (this.#length > this.#maxBytes) {
        throw SIGNAL_INVALID({ problem: `a line is longer than ${this.#maxBytes} bytes`, near: undefined })
      }
      this.#pieces.push(piece)
      if (newline === -1) return
      yield this.#take()
      from = newline + 1
    }
  }

  #take(): string {
    const line = Buffer.concat(this.#pieces, this.#length)
    this.#pieces = []
    this.#length = 0
    try {
      return this.#decoder.decode(line)
    } catch (cause) {
      throw SIGNAL_INVALID({ problem: 'a line is not UTF-8', near: undefined }, { cause })
    }
  }
}
