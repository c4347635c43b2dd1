import type { Socket } from 'node:net'
import { CONNECTION_LOST } from '../core/errors.js'
import { FrameReader, type OnFrame, type TakeFrames } from './frames.js'
import { describeCause } from './serverError.js'

export interface TakeoverHandler {
  readonly onFrame: OnFrame
  readonly takeFrames?: TakeFrames | undefined
  /** After each chunk from the socket, with its length. */
  readonly onChunkEnd?: (length: number) => void
  /** Once, when the connection is gone or cannot be read any more. */
  readonly onFailure: (error: unknown) => void
}

/**
 * The raw socket of a session, taken from `pg` between two queries. `pg`'s `error` and `close` listeners stay, so that
 * the session still learns of its end.
 */
export class Takeover {
  readonly #socket: Socket
  readonly #tail: Buffer
  readonly #to: string
  readonly #driverListeners: ((chunk: Buffer) => void)[]
  readonly #reader: FrameReader
  readonly #handler: TakeoverHandler
  /** Until the socket is given back or lost: from then on it is not ours to pause. */
  #ours = true

  /** From now on every message goes to `handler`; `tail` is the beginning of one that `pg` has received already. */
  constructor(socket: Socket, tail: Buffer, to: string, handler: TakeoverHandler) {
    this.#socket = socket
    this.#tail = tail
    this.#to = to
    this.#handler = handler
    this.#reader = new FrameReader(handler.onFrame, handler.takeFrames)
    this.#driverListeners = socket.listeners('data') as ((chunk: Buffer) => void)[]
    for (const listener of this.#driverListeners) socket.removeListener('data', listener)
    socket.on('data', this.#onData)
    socket.on('close', this.#onClose)
    socket.on('error', this.#onError)
    if (tail.length > 0) this.#reader.push(Buffer.from(tail))
    // What was lost while nobody asked for anything has told so already, and does not tell it again.
    if (socket.destroyed) process.nextTick(this.#onClose)
  }

  /** Neither given back nor lost. */
  get active(): boolean {
    return this.#ours
  }

  /** False: more waits to be sent than should, until {@link Takeover.drained}. */
  write(bytes: Uint8Array): boolean {
    return this.#socket.destroyed || this.#socket.write(bytes)
  }

  /** Resolves when there is room for more; never, when the connection is lost before. */
  drained(): Promise<void> {
    return new Promise((resolve) => this.#socket.once('drain', resolve))
  }

  pause(): void {
    if (this.#ours) this.#socket.pause()
  }

  resume(): void {
    if (this.#ours) this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Gives the socket back to `pg`. Only between two messages, with the server waiting for a query. */
  release(): void {
    this.#stop()
    if (!this.#reader.atBorder || this.#tail.length > 0) {
      this.#socket.destroy()
      return
    }
    for (const listener of this.#driverListeners) this.#socket.on('data', listener)
    this.#socket.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      this.#reader.push(chunk)
      if (this.#ours) this.#handler.onChunkEnd?.(chunk.length)
    } catch (error) {
      this.#fail(error)
    }
  }

  readonly #onClose = (): void => this.#fail(this.#lost('the server closed the connection'))
  readonly #onError = (cause: Error): void => this.#fail(this.#lost(describeCause(cause), cause))

  #lost(problem: string, cause?: unknown): Error {
    return CONNECTION_LOST({ to: this.#to, problem }, { cause })
  }

  #fail(error: unknown): void {
    if (!this.#ours) return
    this.#stop()
    this.#socket.destroy()
    this.#handler.onFailure(error)
  }

  #stop(): void {
    this.#ours = false
    this.#socket.removeListener('data', this.#onData)
    this.#socket.removeListener('close', this.#onClose)
    this.#socket.removeListener('error', this.#onError)
  }
}
