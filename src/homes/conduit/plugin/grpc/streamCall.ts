import type { ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2'
import { FrameReader, frameHead } from './frames.js'
import { statusHeaders } from './status.js'

export const RESPONSE_HEADERS = { ':status': 200, 'content-type': 'application/grpc' } as const
/** Node's types lack `sendDate`. No client of gRPC reads a date, and the first one has Node load time zones, which takes 5 ms. */
export const RESPONSE_OPTIONS = { waitForTrailers: true, sendDate: false } as ServerStreamResponseOptions

/** So much waits for the other side while more is made: nobody waits for whoever is quicker. */
const AHEAD_BYTES = 1024 * 1024

export interface StreamListener {
  /** Of messages nothing is kept when two others have come: their memory is used again. */
  readonly readsAtOnce?: boolean
  /** A message has come: it lies there, and nobody writes over it, but for `readsAtOnce`. What this throws ends the call. */
  readonly onMessage: (bytes: Buffer, start: number, end: number) => void
  /** The other side has cancelled the call, or is gone. Not called once the call has failed. */
  readonly onCancelled: () => void
  /** The call has failed, and is ended: by `fail`, by what `onMessage` threw, or by what came. */
  readonly onFailed: (error: unknown) => void
}

export interface StreamWishes {
  readonly maxReceiveBytes: number
  readonly describe: (error: unknown) => string
}

/** A call whose messages, which are bytes here, go both ways until the other side cancels it or it fails. */
export class StreamCall {
  readonly #stream: ServerHttp2Stream
  readonly #wishes: StreamWishes
  #listener: StreamListener | undefined
  #over = false
  /** Bytes that were written and that the other side has not taken. */
  #ahead = 0
  #drained: (() => void) | undefined

  constructor(stream: ServerHttp2Stream, wishes: StreamWishes) {
    this.#stream = stream
    this.#wishes = wishes
    stream.respond(RESPONSE_HEADERS, RESPONSE_OPTIONS)
  }

  /** To be called once, at first. */
  listen(listener: StreamListener): void {
    const stream = this.#stream
    this.#listener = listener
    const each = (bytes: Buffer, start: number, end: number) => {
      if (!this.#over) listener.onMessage(bytes, start, end)
    }
    const frames = new FrameReader(this.#wishes.maxReceiveBytes, each, listener.readsAtOnce)
    takeChunks(stream, (chunk) => {
      if (this.#over) return
      try {
        frames.push(chunk)
      } catch (error) {
        this.fail(error)
      }
    })
    stream.on('close', () => {
      if (this.#over) return
      this.#over = true
      listener.onCancelled()
    })
  }

  /** False: not before `drained` more should be written. `done`: nobody reads it any more, it is the other side's. */
  write(message: Buffer, done?: () => void): boolean {
    return this.writeParts([message], done)
  }

  /** The same of a message that lies in several pieces, at least one. */
  writeParts(parts: readonly Buffer[], done: () => void = () => {}): boolean {
    if (this.#over) return true
    const stream = this.#stream
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    this.#ahead += length
    stream.cork()
    stream.write(frameHead(length))
    for (let i = 0; i < parts.length - 1; i++) stream.write(parts[i]!)
    stream.write(parts.at(-1)!, (error) => {
      this.#ahead -= length
      if (this.#ahead < AHEAD_BYTES) this.#drained?.()
      if (!error) done()
    })
    stream.uncork()
    return this.#ahead < AHEAD_BYTES
  }

  /** More can be written, or nobody takes it any more. */
  drained(): Promise<void> {
    const stream = this.#stream
    return new Promise((resolve) => {
      if (this.#over || stream.destroyed || this.#ahead < AHEAD_BYTES) return resolve()
      const done = () => {
        this.#drained = undefined
        stream.off('close', done)
        resolve()
      }
      this.#drained = done
      stream.on('close', done)
    })
  }

  /** No messages until `resume`, but for those that are here. */
  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /** Ends the call with the error's text. */
  fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    const stream = this.#stream
    stream.once('wantTrailers', () => stream.sendTrailers(statusHeaders(error, this.#wishes.describe)))
    stream.end()
    // What still comes is let go of, so that the stream can end.
    stream.resume()
    this.#listener?.onFailed(error)
  }
}

/**
 * Hands on what comes, as a listener of 'data' gets it, though without the stream's own work for each piece, which is a frame of
 * HTTP/2: with a frame for each record that is half of what an acknowledgement costs. While the stream is paused it keeps them itself.
 */
function takeChunks(stream: ServerHttp2Stream, each: (chunk: Buffer) => void): void {
  const keep = stream.push.bind(stream)
  stream.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    if (chunk === null || stream.isPaused() || stream.readableLength > 0) return keep(chunk, encoding)
    each(chunk)
    return true
  }
  stream.on('data', each)
}
