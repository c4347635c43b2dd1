import { ByteWriter } from '../../core/byteWriter.js'

/** Fewer bytes wait for more: to have a few lines written takes as long as to make a hundred. */
const WORTH_WRITING = 128 * 1024
/** But not longer than this, in milliseconds: somebody may be reading the file. */
const HELD_MS = 5

/** Lines on their way into a file: some are written while the next ones are made. */
export class LinesBehind {
  readonly #write: (lines: readonly Uint8Array[]) => Promise<void>
  /** Lines are made in it. */
  lines = new ByteWriter(2 * WORTH_WRITING)
  #spare = new ByteWriter(2 * WORTH_WRITING)
  #writing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(write: (lines: readonly Uint8Array[]) => Promise<void>) {
    this.#write = write
  }

  /** What was made is written when it is much, or after a while. Rejects with what the write before failed with. */
  async goOn(): Promise<void> {
    if (this.lines.size >= WORTH_WRITING) {
      await this.#writing
      this.#begin()
    } else if (this.lines.size > 0 && !this.#stopped) this.#timer ??= setTimeout(() => this.#due(), HELD_MS)
  }

  /** No write is under way. */
  async rest(): Promise<void> {
    await this.#writing
  }

  /** All that was made is written. */
  async settled(): Promise<void> {
    await this.#writing
    this.#begin()
    await this.#writing
  }

  /** No write is begun any more, whoever waits for one: somebody else may have the file by then. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Forgets what is not written, when no write is under way; begins anew. */
  async clear(): Promise<void> {
    this.stop()
    await this.#writing?.catch(() => {})
    this.#writing = undefined
    for (const one of [this.lines, this.#spare]) one.clear()
    this.#stopped = false
  }

  #due(): void {
    this.#timer = undefined
    if (this.#writing === undefined) this.#begin()
    else this.#timer = setTimeout(() => this.#due(), HELD_MS)
  }

  #begin(): void {
    if (this.#stopped) throw new Error('the file was closed')
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { lines } = this
    if (lines.size === 0) return
    this.lines = this.#spare
    this.#spare = lines
    const writing = this.#write(lines.take()).then(() => {
      lines.clear()
      this.#writing = undefined
    })
    writing.catch(() => {}) // whoever comes next sees it
    this.#writing = writing
  }
}
