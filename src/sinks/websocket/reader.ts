import type { RawData, WebSocket } from 'ws'
import { closeSocket } from './closeSocket.js'
import type { KeptFrame } from './deliveries.js'
import { readAck } from './frames.js'

/** Ends of a connection, as docs/sinks/websocket.md has them. */
export const CLOSE_GOING = 1001
const CLOSE_INVALID = 4002
const CLOSE_SLOW = 4008
export const CLOSE_REPLACED = 4009

export interface ReaderListener {
  acknowledged(reader: Reader, id: number): void
  /** It was cut off, for that reason. */
  cutOff(reader: Reader, reason: string): void
  /** Its connection has ended, however. */
  gone(reader: Reader): void
}

export interface ReaderLimits {
  /** So many bytes that it has not acknowledged are sent to it. */
  readonly maxBytes: number
  /** So long it may keep what it was sent without acknowledging any of it. */
  readonly ackTimeoutMs: number
}

/** One who listens, and what is on the way to it. */
export class Reader {
  readonly name: string
  readonly #socket: WebSocket
  readonly #listener: ReaderListener
  readonly #limits: ReaderLimits
  /** Not acknowledged, in order. */
  #frames: { readonly id: number; readonly bytes: number }[] = []
  #bytes = 0
  #last = 0
  /** When it has last acknowledged something, or was sent something while it had acknowledged all. */
  #since = 0
  #heard = true
  #ending: Promise<void> | undefined

  constructor(name: string, socket: WebSocket, limits: ReaderLimits, listener: ReaderListener) {
    this.name = name
    this.#socket = socket
    this.#limits = limits
    this.#listener = listener
    socket.on('error', () => {}) // its end is told behind it
    socket.on('close', () => listener.gone(this))
    socket.on('pong', () => {
      this.#heard = true
    })
    socket.on('message', (data, isBinary) => this.#hear(data, isBinary))
  }

  hello(frame: string): void {
    this.#socket.send(frame)
  }

  send({ id, bytes }: KeptFrame): void {
    if (this.#ending !== undefined) return
    const { maxBytes } = this.#limits
    if (this.#bytes > 0 && this.#bytes + bytes.length > maxBytes) {
      return this.#cutOff(CLOSE_SLOW, `too slow: ${this.#bytes} bytes are not acknowledged`)
    }
    if (this.#bytes === 0) this.#since = Date.now()
    this.#frames.push({ id, bytes: bytes.length })
    this.#bytes += bytes.length
    this.#last = id
    this.#socket.send(bytes, { binary: false }, () => {})
  }

  /** Ends it if it has been silent for too long. Called every now and then; `ping`: whether it is asked for a sign of life. */
  look(ping: boolean): void {
    if (this.#ending !== undefined) return
    const { ackTimeoutMs } = this.#limits
    if (this.#bytes > 0 && Date.now() - this.#since > ackTimeoutMs) {
      return this.#cutOff(CLOSE_SLOW, `too slow: no ack for ${ackTimeoutMs} ms`)
    }
    if (!ping) return
    if (!this.#heard) return this.#socket.terminate()
    this.#heard = false
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
  }

  /** Resolves when it has ended. */
  end(code: number, reason: string): Promise<void> {
    this.#ending ??= closeSocket(this.#socket, code, reason)
    return this.#ending
  }

  #cutOff(code: number, reason: string): void {
    this.#listener.cutOff(this, reason)
    void this.end(code, reason)
  }

  #hear(data: RawData, isBinary: boolean): void {
    if (this.#ending !== undefined) return
    this.#heard = true
    const ack = readAck(data as Buffer, isBinary)
    if (ack === undefined) return
    if (ack === 'invalid') return this.#cutOff(CLOSE_INVALID, 'a frame of JSON with a type is expected')
    if (ack.id > this.#last || ack.id < 0) {
      return this.#cutOff(CLOSE_INVALID, `frame ${ack.id} was acknowledged, and ${this.#last} was the last`)
    }
    while (this.#frames[0] !== undefined && this.#frames[0].id <= ack.id) this.#bytes -= this.#frames.shift()!.bytes
    this.#since = Date.now()
    this.#listener.acknowledged(this, ack.id)
  }
}
