import { writev } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { sleep } from '../../core/abort.js'
import { OUTPUT_CLOSED, OUTPUT_FAILED, OUTPUT_MOVED } from '../../core/errors.js'
import { stdoutMayBlock, writeToStdout } from './pipe.js'
import { syncFolder } from './replaceFile.js'

const STDOUT = 1
const NEWLINE = 0x0a
/** Linux takes no more parts in one call (IOV_MAX). */
const MAX_PARTS = 1024

/**
 * Where lines go: standard output or a file. No write blocks the event loop, which must go on telling the server that we
 * live: a pipe's go through a stream that does not block, a file's through Node's thread pool.
 */
export class Output {
  /**
   * Undefined: standard output. No number: that of a file which was closed is the next socket's at once, and whoever closes
   * or writes to it a second time does so to that one.
   */
  readonly #handle: FileHandle | undefined
  readonly #name: string
  readonly #file: boolean
  readonly #pipe: boolean
  /** Length of the file; for standard output what was written. */
  bytes: number
  /** What stands behind `bytes` is still to be cut off. */
  #cutPending = false
  #cutting: Promise<void> | undefined

  static stdout(): Output {
    return new Output(undefined, 'standard output', false, 0)
  }

  /** Opens `path` to append to it. */
  static async open(path: string): Promise<Output> {
    let handle: FileHandle | undefined
    try {
      handle = await open(path, 'a+')
      const found = await handle.stat()
      if (!found.isFile()) return new Output(handle, path, false, 0)
      // A file made just now is durable only when its folder is.
      await syncFolder(dirname(resolve(path)))
      return new Output(handle, path, true, found.size)
    } catch (cause) {
      await handle?.close().catch(() => {})
      throw outputFailed(path, cause)
    }
  }

  private constructor(handle: FileHandle | undefined, name: string, file: boolean, bytes: number) {
    this.#handle = handle
    this.#name = name
    this.#file = file
    this.#pipe = handle === undefined && stdoutMayBlock()
    this.bytes = bytes
  }

  /** What was written can be made durable and cut back. */
  get isFile(): boolean {
    return this.#file
  }

  /** Where its last whole line ends: a torn one behind it is of a run that was cut off. */
  async endOfLastLine(): Promise<number> {
    if (!this.#file) return this.bytes
    try {
      return await this.#endOfLastLine()
    } catch (cause) {
      throw outputFailed(this.#name, cause)
    }
  }

  /** Whether it is so long, and a line ends there. */
  async endsLineAt(bytes: number): Promise<boolean> {
    if (bytes === 0 || bytes > this.bytes) return bytes === 0
    const last = Buffer.alloc(1)
    try {
      await this.#handle!.read(last, 0, 1, bytes - 1)
    } catch (cause) {
      throw outputFailed(this.#name, cause)
    }
    return last[0] === NEWLINE
  }

  /** CRC-32 of what stands between two places. */
  async checksum(from: number, to: number): Promise<number> {
    const block = Buffer.alloc(1024 * 1024)
    let sum = 0
    for (let at = from; at < to; ) {
      const { bytesRead } = await this.#handle!.read(block, 0, Math.min(block.length, to - at), at)
      if (bytesRead === 0) break
      sum = crc32(block.subarray(0, bytesRead), sum)
      at += bytesRead
    }
    return sum
  }

  /**
   * What stands behind the first `bytes` goes, but not before the first write or `sync`: until a run has its slot,
   * another one may be writing here.
   */
  cutAt(bytes: number): void {
    if (bytes >= this.bytes) return
    this.#cutPending = true
    this.bytes = bytes
  }

  /** Writes all parts, in order. They may be changed again once it resolves. */
  async write(parts: readonly Uint8Array[]): Promise<void> {
    await this.#cut()
    let rest = parts
    while (rest.length > 0) {
      const written = await this.#writeSome(rest.slice(0, MAX_PARTS))
      this.bytes += written
      rest = after(rest, written)
    }
  }

  /** What was written is on the disk; for standard output there is nothing to wait for. */
  async sync(): Promise<void> {
    if (!this.#file) return
    await this.#cut()
    try {
      await this.#handle!.datasync()
    } catch (cause) {
      throw outputFailed(this.#name, cause)
    }
    await this.#requireItsName()
  }

  /** Whoever moves or deletes the file would find nothing of what is recorded as written from then on. */
  async #requireItsName(): Promise<void> {
    const [open, named] = await Promise.all([this.#handle!.stat(), stat(this.#name).catch(() => undefined)])
    if (named?.ino === open.ino && named.dev === open.dev) return
    throw OUTPUT_MOVED({ path: this.#name })
  }

  /** Waits for the write under way; what is to be written behind it fails. May be called again. */
  async close(): Promise<void> {
    await this.#handle?.close()
  }

  /** What is written must not be cut off by whoever is still at it. */
  async #cut(): Promise<void> {
    if (this.#cutPending) this.#cutting = this.#truncate()
    this.#cutPending = false
    await this.#cutting
  }

  async #truncate(): Promise<void> {
    try {
      await this.#handle!.truncate(this.bytes)
    } catch (cause) {
      throw outputFailed(this.#name, cause)
    }
  }

  async #writeSome(parts: readonly Uint8Array[]): Promise<number> {
    for (;;) {
      try {
        if (this.#pipe) {
          await writeToStdout(parts)
          return parts.reduce((sum, part) => sum + part.length, 0)
        }
        if (this.#handle !== undefined) return (await this.#handle.writev(parts)).bytesWritten
        return await new Promise((resolve, reject) => {
          writev(STDOUT, parts, (error, written) => (error === null ? resolve(written) : reject(error)))
        })
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException
        // Somebody who shares our standard output made it non-blocking: its reader is behind.
        if (code === 'EAGAIN') await sleep(2)
        else if (code === 'EPIPE') throw OUTPUT_CLOSED({ name: this.#name }, { cause })
        else throw outputFailed(this.#name, cause)
      }
    }
  }

  async #endOfLastLine(): Promise<number> {
    const block = Buffer.alloc(64 * 1024)
    for (let end = this.bytes; end > 0; ) {
      const start = Math.max(0, end - block.length)
      const { bytesRead } = await this.#handle!.read(block, 0, end - start, start)
      const newline = block.subarray(0, bytesRead).lastIndexOf(NEWLINE)
      if (newline >= 0) return start + newline + 1
      end = start
    }
    return 0
  }
}

function outputFailed(name: string, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException
  return OUTPUT_FAILED(
    { name, problem: code === 'ENOSPC' ? 'no space left on the device' : message, errno: code },
    { cause },
  )
}

/** What is left of `parts` behind the first `count` bytes. */
function after(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let index = 0
  while (index < parts.length && count >= parts[index]!.length) count -= parts[index++]!.length
  return index === 0 && count === 0
    ? parts
    : index === parts.length
      ? []
      : [parts[index]!.subarray(count), ...parts.slice(index + 1)]
}
