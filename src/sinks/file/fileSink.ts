import { link, mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type LineEncoder, type LineOptions, lineEncoder } from '../../codec/lines/lineEncoder.js'
import { OUTPUT_FAILED } from '../../core/errors.js'
import { OUTPUT_EXISTS, OUTPUT_MISMATCH, SINK_REWOUND } from '../../core/pipelineErrors.js'
import type { Batch } from '../../source/batch.js'
import { encodeRecords } from '../files/encodeRecords.js'
import { Output } from '../files/output.js'
import { syncFolder } from '../files/replaceFile.js'
import { lockOutput, type StateLock } from '../files/stateLock.js'
import type { FlushOptions, Reject, Sink, SinkMark } from '../sink.js'
import { FileNames } from './fileNames.js'
import type { FileSettings } from './fileSinkType.js'
import { LinesBehind } from './linesBehind.js'

const compress = promisify(gzip)
/** Lines of one gzip member, uncompressed: larger ones compress little better, and are taken back as a whole. */
const MEMBER_BYTES = 1024 * 1024
/** How many records are written between two looks at the length of a file that is rotated by it. */
const SLICE = 64

/** How far the files are. */
interface FileMark {
  /** The setting, absolute. */
  readonly path: string
  readonly gzip: boolean
  /** Of the file being written; 0 where there is one file only. */
  readonly number: number
  readonly bytes: number
  /** When its first record was written, in milliseconds since 1970. */
  readonly begun: number | undefined
  /** Complete, but maybe not yet called by the names they are to have. */
  readonly finished: readonly FinishedFile[]
}

interface FinishedFile {
  readonly number: number
  readonly begun: number
}

/**
 * Lines of JSON in files, each record exactly once: a restart cuts back what was not recorded. Files that follow one
 * another get their names when it is recorded that they are complete: what has its name never changes again.
 */
export class FileSink implements Sink {
  readonly takesBack = true
  readonly releasesBatches = true
  readonly closesWhileBusy = true
  readonly #settings: FileSettings
  readonly #rotates: boolean
  readonly #names: FileNames
  readonly #memberBytes: number
  readonly #lines: LineOptions
  #encoder: LineEncoder
  readonly #behind = new LinesBehind((lines) => this.#trying(() => this.#put(lines)))
  #lock: StateLock | undefined
  #output: Output | undefined
  #number = 0
  #begun: number | undefined
  #finished: FinishedFile[] = []
  #unsynced = false
  /** What is to be flushed is being written: what comes then is behind it. */
  #settling: Promise<void> | undefined
  #flushing: Promise<unknown> | undefined
  /** What is not synced was said to need not come again. */
  #relied = false
  /** The disk has refused something behind that: nobody knows what of it is there. A file server tells it late, of what it took before. */
  #lost = false

  /** `path` must be absolute. */
  constructor(settings: FileSettings, lines: LineOptions) {
    this.#settings = settings
    this.#lines = lines
    this.#rotates = settings.rotateBytes !== undefined || settings.rotateSeconds !== undefined
    this.#names = new FileNames(settings.path)
    this.#memberBytes = Math.min(MEMBER_BYTES, settings.rotateBytes ?? MEMBER_BYTES)
    this.#encoder = lineEncoder(lines)
  }

  /** While one file is synced no other one is begun. */
  get writesDuringFlush(): boolean {
    return !this.#rotates
  }

  async open(mark: SinkMark | undefined): Promise<undefined> {
    const last = (mark ?? undefined) as FileMark | undefined
    if (last !== undefined) this.#requireSame(last)
    if (this.#lost) throw SINK_REWOUND({ sink: this.#settings.path })
    this.#encoder = lineEncoder(this.#lines)
    await this.#behind.clear()
    await this.#onDisk(this.#settings.path, async () => {
      await mkdir(dirname(this.#rotates ? this.#names.stem : this.#settings.path), { recursive: true })
      this.#lock = await lockOutput(this.#rotates ? this.#names.stem : this.#settings.path)
      if (this.#rotates) await this.#openNumbered(last)
      else await this.#openOnly(last)
    })
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    const { rotateBytes, maxLineBytes: maxBytes } = this.#settings
    const { rows } = batch
    await this.#settling
    if (this.#rotates) await this.#behind.rest()
    const slice = this.#rotates || this.#settings.gzip ? SLICE : rows.count
    for (let from = 0; from < rows.count; from += slice) {
      const to = Math.min(rows.count, from + slice)
      this.#encode(batch, { from, to, maxBytes, reject })
      const { size } = this.#behind.lines
      if (this.#rotates && size > 0) this.#begun ??= Date.now()
      if (this.#settings.gzip ? size >= this.#memberBytes : this.#length + size >= (rotateBytes ?? Infinity)) {
        await this.#behind.settled()
      }
    }
    if (!this.#settings.gzip) await this.#behind.goOn()
  }

  flush(options: FlushOptions): Promise<SinkMark> {
    const flushing = this.#flush(options)
    this.#flushing = flushing
    return flushing
  }

  async #flush({ end, durable = true }: FlushOptions): Promise<SinkMark> {
    this.#settling = this.#behind.settled()
    try {
      await this.#settling
    } finally {
      this.#settling = undefined
    }
    const due = this.dueAt()
    if (this.#rotates && this.#length > 0 && (end || (due !== undefined && due <= Date.now()))) await this.#rotate()
    const mark: FileMark = {
      path: this.#settings.path,
      gzip: this.#settings.gzip,
      number: this.#number,
      bytes: this.#length,
      begun: this.#begun,
      finished: [...this.#finished],
    }
    if (durable) await this.#sync()
    else this.#relied = this.#unsynced
    return { ...mark }
  }

  async recorded(mark: SinkMark): Promise<void> {
    const { finished } = mark as unknown as FileMark
    await this.#finish(finished)
  }

  dueAt(): number | undefined {
    const { rotateSeconds } = this.#settings
    if (rotateSeconds === undefined || this.#begun === undefined) return undefined
    return this.#begun + rotateSeconds * 1000
  }

  /** What the disk is at cannot be called back: nothing follows it. */
  async close(): Promise<void> {
    this.#behind.stop()
    await this.#flushing?.catch(() => {})
    await this.#behind.clear()
    const [output, lock] = [this.#output, this.#lock]
    this.#output = this.#lock = undefined
    await this.#trying(async () => output?.close())
    await lock?.[Symbol.asyncDispose]()
  }

  #encode(batch: Batch, options: Parameters<typeof encodeRecords>[3]): void {
    try {
      encodeRecords(this.#encoder, this.#behind.lines, batch, options)
    } catch (error) {
      // Of the last line there may be a half.
      this.#behind.stop()
      throw error
    }
  }

  get #length(): number {
    return this.#output?.bytes ?? 0
  }

  #requireSame({ path, gzip }: FileMark): void {
    const now = this.#settings
    const said = (one: Pick<FileSettings, 'path' | 'gzip'>) => `${one.path}${one.gzip ? ' with gzip' : ''}`
    if (path === now.path && gzip === now.gzip) return
    throw OUTPUT_MISMATCH({
      path: now.path,
      problem: `the settings say ${said(now)}, and it was ${said({ path, gzip })}`,
    })
  }

  async #openOnly(last: FileMark | undefined): Promise<void> {
    const output = await Output.open(this.#settings.path)
    this.#output = output
    this.#unsynced = true
    if (last === undefined) {
      // Of what stands there already a torn line goes; in compressed bytes it cannot be seen.
      if (!this.#settings.gzip) output.cutAt(await output.endOfLastLine())
    } else if (output.isFile) {
      if (output.bytes < last.bytes) throw this.#shorter(this.#settings.path, output.bytes, last.bytes)
      output.cutAt(last.bytes)
    }
  }

  async #openNumbered(last: FileMark | undefined): Promise<void> {
    this.#number = last?.number ?? 1
    this.#begun = undefined
    // Those that are to be named are named by `recorded`: what a failed sink had need not be recorded yet.
    this.#finished = [...(last?.finished ?? [])]
    if (last === undefined) {
      const first = this.#names.part(this.#number)
      if (await exists(first)) throw OUTPUT_EXISTS({ path: first })
      return
    }
    for (let beyond = last.number + (last.bytes > 0 ? 1 : 0); await exists(this.#names.part(beyond)); beyond++) {
      await rm(this.#names.part(beyond))
    }
    if (last.bytes === 0) return
    const part = this.#names.part(last.number)
    const found = (await stat(part).catch(() => undefined))?.size ?? 0
    if (found < last.bytes) throw this.#shorter(part, found, last.bytes)
    this.#output = await Output.open(part)
    this.#output.cutAt(last.bytes)
    this.#unsynced = true
    this.#begun = last.begun
  }

  async #sync(): Promise<void> {
    const isNeeded = this.#unsynced
    this.#unsynced = false
    if (isNeeded) await this.#trying(async () => this.#output?.sync())
    this.#relied = false
  }

  async #trying(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#lost ||= this.#relied
      throw error
    }
  }

  #shorter(path: string, bytes: number, expected: number): Error {
    if (this.#relied) return SINK_REWOUND({ sink: this.#settings.path })
    return OUTPUT_MISMATCH({ path, problem: `it has ${bytes} bytes, and ${expected} were written` })
  }

  /** Gives complete files their names; those that have them are left alone. */
  async #finish(files: readonly FinishedFile[]): Promise<void> {
    for (const { number, begun } of files) {
      const [part, path] = [this.#names.part(number), this.#names.finished(number, begun)]
      await this.#onDisk(path, () => giveName(part, path))
      this.#finished = this.#finished.filter((one) => one.number !== number)
    }
  }

  async #put(lines: readonly Uint8Array[]): Promise<void> {
    const output = this.#output ?? (await Output.open(this.#names.part(this.#number)))
    this.#output = output
    await output.write(this.#settings.gzip ? [await compress(Buffer.concat(lines))] : lines)
    this.#unsynced = true
    const { rotateBytes } = this.#settings
    if (rotateBytes !== undefined && output.bytes >= rotateBytes) await this.#rotate()
  }

  async #rotate(): Promise<void> {
    await this.#sync()
    await this.#output!.close()
    this.#output = undefined
    this.#finished.push({ number: this.#number, begun: this.#begun! })
    this.#number++
    this.#begun = undefined
  }

  /** What the file system refuses is an error of ours, with the file's name. */
  async #onDisk(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (cause) {
      const { code, message, syscall } = cause as NodeJS.ErrnoException
      if (syscall === undefined) throw cause
      throw OUTPUT_FAILED({ name, problem: message, errno: code }, { cause })
    }
  }
}

/** By a link, which never takes the place of another file. */
async function giveName(part: string, path: string): Promise<void> {
  const from = await stat(part).catch(() => undefined)
  if (from === undefined) return
  await mkdir(dirname(path), { recursive: true })
  const to = await stat(path).catch(() => undefined)
  if (to !== undefined && (to.ino !== from.ino || to.dev !== from.dev)) throw OUTPUT_EXISTS({ path })
  // Some file systems have no links.
  if (to === undefined) await link(part, path).catch(() => rename(part, path))
  await syncFolder(dirname(path))
  await rm(part, { force: true })
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
