import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OUTPUT_FAILED } from '../../core/errors.js'
import type { DeadLetterRow } from '../../destination/deadLetters.js'
import { Output } from '../files/output.js'
import { lockOutput, type StateLock } from '../files/stateLock.js'
import type { SinkMark } from '../sink.js'
import type { LetterStore } from './letterStore.js'

/** Dead letters as lines of JSON. The file is there when there is one, and may be taken away while nothing runs. */
export class LetterFile implements LetterStore {
  readonly #path: string
  readonly #sink: string
  #lock: StateLock | undefined
  #output: Output | undefined
  #unsynced = false

  /** `path` must be absolute. */
  constructor(path: string, sink: string) {
    this.#path = path
    this.#sink = sink
  }

  async open(mark: SinkMark | undefined): Promise<void> {
    const known = (mark ?? undefined) as { readonly bytes: number } | undefined
    try {
      await mkdir(dirname(this.#path), { recursive: true })
      this.#lock = await lockOutput(this.#path)
      if (!(await isThere(this.#path))) return
    } catch (cause) {
      const { code, message, syscall } = cause as NodeJS.ErrnoException
      if (syscall === undefined) throw cause
      throw OUTPUT_FAILED({ name: this.#path, problem: message, errno: code }, { cause })
    }
    this.#output = await Output.open(this.#path)
    // The file of the mark may have been taken away, and this be another one.
    const isOfMark = known !== undefined && (await this.#output.endsLineAt(known.bytes))
    this.#output.cutAt(isOfMark ? known.bytes : await this.#output.endOfLastLine())
    this.#unsynced = true
  }

  async write(letters: readonly DeadLetterRow[]): Promise<void> {
    if (letters.length === 0) return
    this.#output ??= await Output.open(this.#path)
    this.#unsynced = true
    await this.#output.write([Buffer.from(letters.map((letter) => this.#lineOf(letter)).join(''))])
  }

  async flush(): Promise<SinkMark> {
    if (this.#unsynced) await this.#output?.sync()
    this.#unsynced = false
    return { bytes: this.#output?.bytes ?? 0 }
  }

  async close(): Promise<void> {
    const [output, lock] = [this.#output, this.#lock]
    this.#output = this.#lock = undefined
    await output?.close()
    await lock?.[Symbol.asyncDispose]()
  }

  #lineOf({ id, target, sqlstate, problem, record }: DeadLetterRow): string {
    const facts = { at: new Date().toISOString(), source: this.#sink, id, target, sqlstate, problem }
    return `${JSON.stringify(facts).slice(0, -1)},"record":${record}}\n`
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}
