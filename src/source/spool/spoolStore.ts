import { promisify } from 'node:util'
import { crc32, deflateRaw, inflateRawSync } from 'node:zlib'
import { SPOOL_DAMAGED, SPOOL_FAILED, SPOOL_FULL } from '../../core/errors.js'
import { describeCause } from '../../postgres/serverError.js'
import { type SpoolFile, SpoolFolder } from './spoolFolder.js'

const deflate = promisify(deflateRaw)

/** Blocks that wait to be written; with more the socket rests. */
const WRITE_AHEAD_BYTES = 4 * 1024 * 1024
/** A file is removed when nothing in it is wanted any more: smaller files are gone sooner, larger ones are fewer. */
const FILE_BYTES = 64 * 1024 * 1024
/** Read at once, of what is behind one another. */
const WINDOW_BYTES = 512 * 1024
/** Buffers that were written, to be filled again: as many as may wait to be written. */
const SPARE_BYTES = WRITE_AHEAD_BYTES
const NO_ROOM: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

export interface SpoolStoreOptions {
  /** In which the folder for files is made. */
  readonly parent: string
  /** Bytes that stay in memory. */
  readonly memoryBytes: number
  /** Bytes of files at most. */
  readonly maxBytes: number | undefined
  /** Bytes of files up to which blocks are written as they are; beyond that they are compressed. */
  readonly plainBytes: number
  /** There is room again after `full`. */
  readonly onRoom: () => void
  /** Blocks are lost: none can be read any more. */
  readonly onFailure: (error: unknown) => void
}

/** Bytes put away: in memory, or in a file. */
export interface StoredBlock {
  readonly length: number
  /** Until they are written. */
  bytes: Buffer | undefined
  /** How much memory `bytes` hold. */
  readonly capacity: number
  place: Place | undefined
  released: boolean
}

interface Place {
  readonly file: SpoolFile
  readonly offset: number
  /** As it is in the file. */
  readonly length: number
  readonly packed: boolean
  readonly checksum: number
}

/**
 * Puts blocks away and gives them back, each once. What comes first stays in memory up to a bound; what comes when that is
 * reached goes to files with a checksum, in the order of coming. When the files are large what comes is compressed (deflate
 * at its lowest level: of pgoutput's rows it takes 4/5 away, at 310 MB/s in the thread pool; unpacked at 1,500 MB/s, for
 * which the pool would cost as much again); until then that would cost more than the room is worth. Index and checksums
 * are kept in memory only, since the files are of no use to another run.
 */
export class SpoolStore {
  readonly #options: SpoolStoreOptions
  readonly #folder: SpoolFolder
  #memory = 0
  #spare: Buffer[] = []
  #spareBytes = 0
  /** Bytes of files. */
  #stored = 0
  #queue: StoredBlock[] = []
  #waiting = 0
  #writing: Promise<void> | undefined
  #failed = false
  readonly #files = new Set<SpoolFile>()
  #current: SpoolFile | undefined
  #lastRead: Window | undefined

  constructor(options: SpoolStoreOptions) {
    this.#options = options
    this.#folder = new SpoolFolder(options.parent)
  }

  /** Writing is behind: nothing more should come before `onRoom`. */
  get full(): boolean {
    return this.#waiting >= WRITE_AHEAD_BYTES
  }

  /** More is in memory than is to stay there: what can be put away should be. */
  get crowded(): boolean {
    return this.#memory > this.#options.memoryBytes
  }

  /** Bytes of files. */
  get storedBytes(): number {
    return this.#stored
  }

  /** A buffer to be filled, and given to `put` or `free`. */
  allocate(capacity: number): Buffer {
    this.#memory += capacity
    if (this.#spare.at(-1)?.length !== capacity) return Buffer.allocUnsafeSlow(capacity)
    this.#spareBytes -= capacity
    return this.#spare.pop()!
  }

  free(bytes: Buffer): void {
    this.#memory -= bytes.length
  }

  /** Keeps the first `length` of these bytes, which are the store's from now on. */
  put(bytes: Buffer, length: number): StoredBlock {
    const block = { length, bytes, capacity: bytes.length, place: undefined, released: false }
    if (!this.crowded || this.#failed) return block
    this.#queue.push(block)
    this.#waiting += bytes.length
    this.#writing ??= this.#write()
    return block
  }

  /** What was put; nobody else gets it. Throws SPOOL_DAMAGED, SPOOL_FAILED. */
  async take(block: StoredBlock): Promise<Buffer> {
    try {
      return block.bytes?.subarray(0, block.length) ?? (await this.#read(block))
    } finally {
      this.release(block)
    }
  }

  /** Nobody wants it any more. */
  release(block: StoredBlock): void {
    if (block.released) return
    block.released = true
    if (block.bytes !== undefined) this.#memory -= block.capacity
    if (block.place !== undefined) this.#leave(block.place.file)
  }

  /** What is left of files and folder goes; every block must have been released. May be used again after that. */
  async clean(): Promise<void> {
    await this.#writing
    for (const file of this.#files) void this.#drop(file)
    await this.#folder.remove()
  }

  async #write(): Promise<void> {
    try {
      for (let block = this.#queue.shift(); block !== undefined; block = this.#queue.shift()) {
        if (!block.released && !this.#failed) await this.#writeBlock(block)
        const wasFull = this.full
        this.#waiting -= block.capacity
        if (wasFull && !this.full) this.#options.onRoom()
      }
    } catch (error) {
      this.#failed = true
      for (const block of this.#queue) this.#waiting -= block.capacity
      this.#queue = []
      this.#options.onFailure(error)
    } finally {
      this.#writing = undefined
    }
  }

  async #writeBlock(block: StoredBlock): Promise<void> {
    const { length } = block
    const { maxBytes, plainBytes } = this.#options
    const plain = block.bytes!.subarray(0, length)
    const packed = this.#stored + length > plainBytes
    const bytes = packed ? await deflate(plain, { level: 1, chunkSize: length + 1024 }) : plain
    if (maxBytes !== undefined && this.#stored + bytes.length > maxBytes) {
      throw SPOOL_FULL({ folder: this.#options.parent, problem: `it may have ${maxBytes} bytes (spoolMaxBytes)` })
    }
    const file = await this.#fileToWrite()
    const offset = file.length
    file.live++
    try {
      await writeWhole(file, bytes, offset)
    } catch (cause) {
      throw this.#failure(cause)
    }
    file.length += bytes.length
    this.#stored += bytes.length
    if (block.released) {
      this.#leave(file)
      return
    }
    block.place = { file, offset, length: bytes.length, packed, checksum: crc32(bytes) }
    this.#keep(block.bytes!)
    block.bytes = undefined
    this.#memory -= block.capacity
  }

  /** To be filled again, as the blocks of a large transaction are all of a size. */
  #keep(bytes: Buffer): void {
    if (this.#spare[0]?.length !== bytes.length) {
      this.#spare = []
      this.#spareBytes = 0
    }
    if (this.#spareBytes + bytes.length > SPARE_BYTES) return
    this.#spare.push(bytes)
    this.#spareBytes += bytes.length
  }

  async #read({ place, length }: StoredBlock): Promise<Buffer> {
    const { file, offset, length: written, packed, checksum } = place!
    const damaged = (problem: string, cause?: unknown) => SPOOL_DAMAGED({ file: file.path, problem }, { cause })
    const found = await this.#window(file, offset, written)
    if (found.length < written) throw damaged(`${written - found.length} bytes are missing at ${offset}`)
    if (crc32(found) !== checksum) throw damaged(`the checksum at byte ${offset} is not that of what was written`)
    if (!packed) return found
    let bytes: Buffer
    try {
      bytes = inflateRawSync(found, { chunkSize: Math.max(length + 1, 1024) })
    } catch (cause) {
      throw damaged(`byte ${offset} is no compressed block`, cause)
    }
    if (bytes.length !== length) throw damaged(`the block at ${offset} has ${bytes.length} bytes of ${length}`)
    return bytes
  }

  /** Blocks that were put behind one another are wanted so: they are read together. */
  async #window(file: SpoolFile, offset: number, length: number): Promise<Buffer> {
    const last = this.#lastRead
    if (last === undefined || last.file !== file || offset < last.from || offset + length > last.to) {
      const to = Math.max(offset + length, Math.min(offset + WINDOW_BYTES, file.length))
      this.#lastRead = { file, from: offset, to, bytes: readWhole(file, offset, to - offset) }
    }
    const { from, bytes } = this.#lastRead!
    const read = await bytes.catch((cause) => {
      throw this.#failure(cause)
    })
    return read.subarray(offset - from, offset - from + length)
  }

  async #fileToWrite(): Promise<SpoolFile> {
    if (this.#current !== undefined && this.#current.length >= FILE_BYTES) {
      const done = this.#current
      this.#current = undefined
      if (done.live === 0) void this.#drop(done)
    }
    if (this.#current === undefined) {
      try {
        this.#current = await this.#folder.create()
      } catch (cause) {
        throw this.#failure(cause)
      }
      this.#files.add(this.#current)
    }
    return this.#current
  }

  #leave(file: SpoolFile): void {
    file.live--
    if (file.live === 0) void this.#drop(file)
  }

  #drop(file: SpoolFile): Promise<void> {
    if (this.#current === file) this.#current = undefined
    if (this.#lastRead?.file === file) this.#lastRead = undefined
    if (this.#files.delete(file)) this.#stored -= file.length
    return file.remove()
  }

  #failure(cause: unknown): Error {
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    const facts = { folder: this.#options.parent, problem: describeCause(cause) }
    return NO_ROOM.includes(code) ? SPOOL_FULL(facts, { cause }) : SPOOL_FAILED(facts, { cause })
  }
}

/** A part of a file, as it was read at once. */
interface Window {
  readonly file: SpoolFile
  readonly from: number
  readonly to: number
  readonly bytes: Promise<Buffer>
}

async function readWhole(file: SpoolFile, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  const { bytesRead } = await file.handle.read(bytes, 0, length, offset)
  return bytes.subarray(0, bytesRead)
}

async function writeWhole(file: SpoolFile, bytes: Buffer, offset: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.handle.write(bytes, written, bytes.length - written, offset + written)
    written += bytesWritten
  }
}
