import { ByteWriter } from '../../core/byteWriter.js'
import { type Lease, SpareMemory } from '../../core/spareMemory.js'

const PIECE_BYTES = 512 * 1024
/** Enough for whatever is to be written next: of a larger line the rest has memory of its own. */
const ROOM_BYTES = PIECE_BYTES / 4
/** As many as are kept for lines to come. */
const MOST_SPARE = 16

/** Memory with lines in it: of several runs, until all of them are delivered. */
export class LinePiece {
  readonly writer: ByteWriter
  readonly #memory: LineMemory
  readonly #lease: Lease
  #lines = 0
  /** What is counted for it. */
  #counted = 0
  #isRead = false

  constructor(memory: LineMemory, lease: Lease) {
    this.#memory = memory
    this.#lease = lease
    this.writer = new ByteWriter(lease.buffer.buffer as ArrayBuffer)
  }

  /** So many bytes are left of it; those of values that lie elsewhere count, since they are held, too. */
  get room(): number {
    const { bytes, length, size } = this.writer
    const isGrown = bytes.buffer !== this.#lease.buffer.buffer
    return isGrown ? 0 : Math.min(bytes.length - length, PIECE_BYTES - size)
  }

  /** Lines were written that are to be delivered. */
  add(lines: number): void {
    this.#lines += lines
    if (this.#lines === 0) return
    const bytes = Math.max(PIECE_BYTES, this.writer.size)
    this.#memory.bytes += bytes - this.#counted
    this.#counted = bytes
  }

  /** Of these somebody may read on without end: they are never written over. */
  leave(): void {
    this.#isRead = true
  }

  /** So many of them are delivered. */
  release(lines: number): void {
    this.#lines -= lines
    if (this.#lines > 0) return
    this.#memory.bytes -= this.#counted
    this.#counted = 0
    this.#memory.closed(this)
    if (!this.#isRead) this.#lease.giveBack()
  }
}

/** Memory for lines on their way, used again when they are delivered: each batch would have its own, far from full. */
export class LineMemory {
  readonly #spare = new SpareMemory(PIECE_BYTES, MOST_SPARE)
  #open: LinePiece | undefined
  /** Of the pieces in which lines are that are not delivered yet. */
  bytes = 0

  /** The one that is being filled, if so many bytes are left of it, or enough; else an empty one. */
  piece(bytes: number): LinePiece {
    if (this.#open === undefined || this.#open.room < Math.min(bytes, ROOM_BYTES))
      this.#open = new LinePiece(this, this.#spare.take())
    return this.#open
  }

  /** Nothing more is written into it. */
  closed(piece: LinePiece): void {
    if (this.#open === piece) this.#open = undefined
  }
}
