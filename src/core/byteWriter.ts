/**
 * Until here a full buffer is replaced by one of twice the size; from here on it becomes a part, and another is begun:
 * a value of 100 MB would leave as much garbage behind as it has, and be moved again and again.
 */
const LARGEST_GROWTH = 4 * 1024 * 1024

/**
 * A growing output buffer. Hot code asks for room once with {@link ByteWriter.reserve}, writes into `bytes` from
 * `length` on, and stores the new `length`; nothing in its loops checks again.
 *
 * Long runs may be attached by reference instead of copied, so that a row of 100 MB is not held twice: what was
 * written is a list of parts then, in order, which {@link ByteWriter.take} gives.
 */
export class ByteWriter {
  bytes: Buffer
  /** The same memory, for writing four bytes at once. */
  view: DataView
  /** Bytes written into `bytes`; the next one goes to `bytes[length]`. */
  length = 0
  #parts: Uint8Array[] = []
  #partBytes = 0
  #sealed = 0

  /** `memory`: to begin in, or how much of it. */
  constructor(memory: number | ArrayBuffer = 64 * 1024) {
    this.bytes = typeof memory === 'number' ? Buffer.allocUnsafeSlow(memory) : Buffer.from(memory)
    this.view = viewOf(this.bytes)
  }

  /** All bytes written since the last {@link ByteWriter.clear}, attached ones included. */
  get size(): number {
    return this.#partBytes + this.length - this.#sealed
  }

  /** Makes room for `count` more bytes. `bytes` may be another buffer afterwards. */
  reserve(count: number): void {
    if (this.length + count > this.bytes.length) this.#grow(count)
  }

  /** Appends `source` by copying it. */
  write(source: Uint8Array): void {
    this.reserve(source.length)
    this.bytes.set(source, this.length)
    this.length += source.length
  }

  /** Appends ASCII text (names and values that may hold more go through `writeJsonString`). */
  writeAscii(text: string): void {
    this.reserve(text.length)
    this.length += this.bytes.write(text, this.length, 'latin1')
  }

  /** Appends `source` by reference: it must not change until what was written has been taken and used. */
  attach(source: Uint8Array): void {
    this.#seal()
    this.#parts.push(source)
    this.#partBytes += source.length
  }

  /** Everything written, in order. Valid until the next write; call {@link ByteWriter.clear} once it was used. */
  take(): readonly Uint8Array[] {
    this.#seal()
    return this.#parts
  }

  /** Everything written, as one buffer of its own. */
  toBuffer(): Buffer {
    return Buffer.concat(this.take())
  }

  /** Forgets what was written and keeps the buffer, unless a rare long value has blown it up. */
  clear(keepAtMost = 8 * 1024 * 1024): void {
    this.length = this.#sealed = this.#partBytes = 0
    this.#parts = []
    if (this.bytes.length <= keepAtMost) return
    this.bytes = Buffer.allocUnsafeSlow(64 * 1024)
    this.view = viewOf(this.bytes)
  }

  /** The place until which all was written, for {@link ByteWriter.rewind}. */
  mark(): ByteMark {
    this.#seal()
    return { parts: this.#parts.length, bytes: this.#partBytes }
  }

  /** Forgets what was written behind `mark`, since which nothing was taken or cleared. */
  rewind({ parts, bytes }: ByteMark): void {
    this.#parts.length = parts
    this.#partBytes = bytes
    this.length = this.#sealed
  }

  #seal(): void {
    if (this.length === this.#sealed) return
    this.#parts.push(this.bytes.subarray(this.#sealed, this.length))
    this.#partBytes += this.length - this.#sealed
    this.#sealed = this.length
  }

  #grow(count: number): void {
    if (this.bytes.length >= LARGEST_GROWTH) this.#seal()
    // What is sealed stays in the old buffer, which its part keeps alive: only the open run moves.
    const open = this.length - this.#sealed
    const grown = Buffer.allocUnsafeSlow(Math.max(open + count, Math.min(2 * this.bytes.length, LARGEST_GROWTH)))
    this.bytes.copy(grown, 0, this.#sealed, this.length)
    this.bytes = grown
    this.view = viewOf(grown)
    this.length = open
    this.#sealed = 0
  }
}

/** What hot code writes into, whoever has it: see {@link ByteWriter}. */
export interface ByteRoom {
  readonly bytes: Buffer
  readonly view: DataView
  length: number
  reserve(count: number): void
}

/** The same for what may be long: a writer may take that as it is, or copy it. */
export interface ByteSink extends ByteRoom {
  attach(source: Uint8Array): void
}

export interface ByteMark {
  readonly parts: number
  readonly bytes: number
}

/** `bytes` as a DataView: V8 reads and writes four bytes of it in one instruction, aligned or not. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
