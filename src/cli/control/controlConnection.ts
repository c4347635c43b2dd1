import type { Socket } from 'node:net'
import { SIGNAL_UNAVAILABLE } from '../../core/errors.js'
import { TailraceError } from '../../core/tailraceError.js'
import { log } from '../log.js'
import type { ControlledRun } from './controlledRun.js'
import { LineReader } from './lineReader.js'
import { type Answer, type Request, readRequest, type ToldError, WAITING_EVERY_MS, writeMessage } from './protocol.js'
import { occupation } from './runStatus.js'

/** Whoever has connected and asks nothing for so long is closed. */
const SILENT_MS = 30_000
const MAX_OUTSTANDING = 16
/** Whoever asks and does not read the answers is closed. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024
/** At the end, for what was answered last. */
const FAREWELL_MS = 500

/** One client of the control socket. Whatever it sends, or however it goes away, the run goes on. */
export class ControlConnection {
  readonly #socket: Socket
  readonly #run: ControlledRun
  readonly #lines = new LineReader()
  #outstanding = 0
  /** No more requests will come. */
  #asked = false

  constructor(socket: Socket, run: ControlledRun) {
    this.#socket = socket
    this.#run = run
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => this.#read(chunk))
    // A script may close its side (`… | nc -U`) and still wait for the answers.
    socket.on('end', () => {
      this.#asked = true
      this.#endWhenDone()
    })
    socket.setTimeout(SILENT_MS, () => {
      if (this.#outstanding === 0) socket.destroy()
    })
  }

  /** Nothing more will be answered. */
  end(): void {
    this.#socket.destroySoon()
    setTimeout(() => this.#socket.destroy(), FAREWELL_MS).unref()
  }

  #endWhenDone(): void {
    if (this.#asked && this.#outstanding === 0) this.end()
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const line of this.#lines.push(chunk)) if (line.trim() !== '') this.#ask(line)
    } catch (error) {
      this.#answer({ type: 'error', error: told(error) }, undefined)
      this.end()
    }
  }

  #ask(line: string): void {
    let request: Request
    try {
      request = readRequest(line)
      if (this.#outstanding === MAX_OUTSTANDING) {
        throw SIGNAL_UNAVAILABLE({ problem: `this client waits for ${MAX_OUTSTANDING} answers already` })
      }
    } catch (error) {
      this.#answer({ type: 'error', error: told(error) }, idOf(line))
      return
    }
    const { id } = request
    this.#outstanding++
    void this.#answers(request).then((last) => {
      this.#outstanding--
      this.#answer(last, id)
      this.#endWhenDone()
    })
  }

  async #answers({ id, ...request }: Request): Promise<Answer> {
    this.#answer({ type: 'accepted' }, id)
    const since = performance.now()
    const timer = setInterval(() => {
      const seconds = Math.round((performance.now() - since) / 1000)
      const busy = occupation(this.#run.status)
      this.#answer({ type: 'waiting', seconds, ...(busy !== null && { for: busy }) }, id)
    }, WAITING_EVERY_MS)
    try {
      return { type: 'done', result: await this.#run.handle(request, () => this.#socket.destroyed) }
    } catch (error) {
      return { type: 'error', error: told(error) }
    } finally {
      clearInterval(timer)
    }
  }

  #answer(answer: Answer, id: string | number | undefined): void {
    if (!this.#socket.writable) return
    this.#socket.write(writeMessage(answer, id))
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#socket.destroy()
  }
}

/** An error as the client shall tell it to its user. */
function told(error: unknown): ToldError {
  if (error instanceof TailraceError) {
    const { code, message, hint, retry } = error
    return { code, message, hint, retry }
  }
  log('error', `internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`)
  const hint = 'The log of the run has more. Please report it.'
  return { code: 'INTERNAL', message: `internal error: ${String(error)}`, hint, retry: 'never' }
}

/** Of a line that is no request, as far as it says whose it is. */
function idOf(line: string): string | number | undefined {
  try {
    const { id } = JSON.parse(line) as { id?: unknown }
    return typeof id === 'string' || typeof id === 'number' ? id : undefined
  } catch {
    return undefined
  }
}
