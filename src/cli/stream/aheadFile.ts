import { type FileHandle, open, readFile, rm } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { Output } from '../../sinks/files/output.js'
import { StreamPosition } from '../../source/position.js'
import type { State } from './stateFile.js'

/** How far a run was beyond its state: lines that were written, and not yet made durable. */
interface Ahead {
  /** Of the state that it goes on from. */
  readonly state: number
  readonly from: number
  readonly bytes: number
  /** Of the output between the two. */
  readonly checksum: number
  readonly position: object
}

/** Its first line: a checksum, and then what it is of. What stands behind it is left from longer ones. */
const LINE = /^([0-9a-f]+) (.*)\n/

/**
 * Beside the state, while a snapshot runs: where the output is by now, without waiting for the disk. What a killed
 * process wrote is still there, so that rows are not read again which came since the last checkpoint. After a crash of the
 * machine it may say anything: so it counts only if the output has, from the state on, the very bytes that it tells of.
 */
export class AheadFile {
  readonly #path: string
  /** What came since the state that is recorded; undefined where that is not known. */
  #since: Since | undefined
  /** Since the one that is being recorded. */
  #next: Since | undefined
  #bytes: number
  #file: FileHandle | undefined
  #latest: string | undefined
  #writing: Promise<void> | undefined
  #failed = false

  /** Goes on from the state at `statePath`, with an output of `bytes`. */
  constructor(statePath: string, { position, output }: State, bytes: number) {
    this.#path = pathOf(statePath)
    this.#bytes = bytes
    // Of a snapshot that begins anew more may be cut off than the state counts.
    if (output?.bytes !== bytes) return
    this.#since = new Since(bytes)
    this.#since.state = stateOf(position)
  }

  /** These lines were written, up to `position`: the output has `bytes` by now. */
  wrote(parts: readonly Uint8Array[], position: StreamPosition, bytes: number): void {
    this.#bytes = bytes
    if (position.place.snapshot?.tables === undefined) {
      // Of a stream little is read again, and there a checksum of everything would cost more than it saves.
      this.#since = undefined
      this.#next = undefined
      return
    }
    this.#since?.add(parts)
    this.#next?.add(parts)
    if (position.repeats || this.#since === undefined || this.#failed) return
    const { state, from, checksum } = this.#since
    this.#latest = lineOf({ state, from, bytes, checksum, position: position.toJSON() })
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  /** A state is being recorded that tells of the first `bytes`. */
  records(bytes: number): void {
    this.#next = bytes === this.#bytes ? new Since(bytes) : undefined
  }

  /** It is recorded. */
  recorded(position: object | null): void {
    this.#since = this.#next
    this.#next = undefined
    if (this.#since !== undefined) this.#since.state = stateOf(position)
  }

  /** Nothing is ahead of the state any more. */
  async remove(): Promise<void> {
    await this.close()
    await rm(this.#path, { force: true }).catch(() => {})
  }

  async close(): Promise<void> {
    this.#failed = true
    await this.#writing
    await this.#file?.close().catch(() => {})
    this.#file = undefined
  }

  /** Without it rows are only read again: no error. */
  async #write(): Promise<void> {
    try {
      this.#file ??= await open(this.#path, 'w')
      while (this.#latest !== undefined) {
        const line = this.#latest
        this.#latest = undefined
        await this.#file.write(line, 0)
      }
    } catch {
      this.#failed = true
    }
  }
}

/** The lines behind the first `from` bytes. */
class Since {
  state = 0
  checksum = 0
  readonly from: number

  constructor(from: number) {
    this.from = from
  }

  add(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.checksum = crc32(part, this.checksum)
  }
}

/** What the state would say had the last run had the time to record it; undefined where there is nothing that proves it. */
export async function aheadOf(statePath: string, state: State, output: Output): Promise<State | undefined> {
  if (state.output === undefined || !output.isFile) return undefined
  const ahead = parse(await readFile(pathOf(statePath), 'utf8').catch(() => ''))
  if (ahead === undefined) return undefined
  const { from, bytes, checksum, position } = ahead
  if (from !== state.output.bytes || ahead.state !== stateOf(state.position) || bytes > output.bytes) return undefined
  if ((await output.checksum(from, bytes)) !== checksum) return undefined
  return { version: 1, position, output: { ...state.output, bytes } }
}

function parse(text: string): Ahead | undefined {
  const [, checksum, json] = LINE.exec(text) ?? []
  if (json === undefined || crc32(json) !== Number.parseInt(checksum!, 16)) return undefined
  const ahead = JSON.parse(json) as Ahead
  try {
    StreamPosition.parse(ahead.position)
  } catch {
    return undefined
  }
  return ahead
}

function lineOf(ahead: Ahead): string {
  const json = JSON.stringify(ahead)
  return `${crc32(json).toString(16)} ${json}\n`
}

function stateOf(position: object | null): number {
  return crc32(JSON.stringify(position))
}

function pathOf(statePath: string): string {
  return `${statePath}.ahead`
}
