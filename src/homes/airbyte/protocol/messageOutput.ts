import { Output } from '../../../sinks/files/output.js'
import { type LogLevel, logMessage, type Message } from './messages.js'

/**
 * Standard output (or another one), on which there is nothing but messages, one a line. Whatever is written comes out
 * whole and in the order of the calls, whoever calls.
 */
export class MessageOutput {
  readonly #output: Output
  #last: Promise<void> = Promise.resolve()
  #failed: Error | undefined
  readonly #lost = new AbortController()
  readonly #debug: boolean

  constructor({ debug }: { readonly debug: boolean }, output = Output.stdout()) {
    this.#debug = debug
    this.#output = output
  }

  /** Aborted when nothing more comes out: nobody is there for whom to go on. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Messages that come now and then; {@link MessageOutput.lines} or {@link MessageOutput.flushed} tell of a failure. */
  send(...messages: readonly Message[]): void {
    const text = messages.map((message) => `${JSON.stringify(message)}\n`).join('')
    this.#write([Buffer.from(text)]).catch(() => {})
  }

  log(level: LogLevel, text: string): void {
    if (level !== 'DEBUG' || this.#debug) this.send(logMessage(level, text))
  }

  /** Whole lines as bytes, which may be changed once it resolves: when the reader has made room for them. */
  lines(parts: readonly Uint8Array[]): Promise<void> {
    return this.#write(parts)
  }

  /** Resolves when all is out. */
  async flushed(): Promise<void> {
    await this.#last
    if (this.#failed !== undefined) throw this.#failed
  }

  #write(parts: readonly Uint8Array[]): Promise<void> {
    const done = this.#last.then(async () => {
      if (this.#failed !== undefined) throw this.#failed
      await this.#output.write(parts)
    })
    this.#last = done.catch((error) => {
      this.#failed ??= error
      this.#lost.abort()
    })
    return done
  }
}
