import { createConnection, type Socket } from 'node:net'
import { CONTROL_FAILED, RUN_NOT_FOUND, SIGNAL_UNANSWERED } from '../../core/errors.js'
import { LineReader } from './lineReader.js'
import { type Answer, PROTOCOL_VERSION, type Result, readObject, type SignalRequest, writeMessage } from './protocol.js'
import type { SocketPlace } from './socketPath.js'

/** A run answers at once, and then every two seconds; one that is silent for longer is stopped, or gone. */
const SILENT_MS = 10_000

/** What the run refused, in its own words. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: string
  readonly hint: string

  constructor({ code, message, hint }: Extract<Answer, { type: 'error' }>['error']) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

export interface AskOptions {
  /** The places that the run may listen at, in this order. */
  readonly places: readonly SocketPlace[]
  readonly onWaiting: (answer: Extract<Answer, { type: 'waiting' }>) => void
  /** Of silence, in milliseconds. */
  readonly silentMs?: number
}

/**
 * Asks the run, and waits until it has done that. Throws `RUN_NOT_FOUND`, `CONTROL_FAILED`, `SIGNAL_UNANSWERED`, or what
 * the run itself refused as {@link Refusal}.
 */
export async function ask(request: SignalRequest, options: AskOptions): Promise<Result> {
  const { places, onWaiting, silentMs = SILENT_MS } = options
  for (const { path } of places) {
    const socket = await connected(path)
    if (socket === undefined) continue
    try {
      socket.setTimeout(silentMs, () => {
        socket.destroy(new Error(`nothing came for ${silentMs / 1000} s`))
      })
      socket.write(writeMessage(request, undefined))
      return await lastAnswer(socket, path, onWaiting)
    } finally {
      socket.destroy()
    }
  }
  throw RUN_NOT_FOUND({ paths: places.map(({ path }) => path) })
}

async function lastAnswer(socket: Socket, path: string, onWaiting: AskOptions['onWaiting']): Promise<Result> {
  const lines = new LineReader()
  try {
    for await (const chunk of socket) {
      for (const line of lines.push(chunk as Uint8Array)) {
        const answer = readAnswer(line)
        if (answer.type === 'done') return answer.result
        if (answer.type === 'error') throw new Refusal(answer.error)
        if (answer.type === 'waiting') onWaiting(answer)
      }
    }
  } catch (cause) {
    if (cause instanceof Refusal) throw cause
    throw SIGNAL_UNANSWERED({ path, problem: (cause as Error).message }, { cause })
  }
  throw SIGNAL_UNANSWERED({ path, problem: 'it closed the connection' })
}

/** What comes from a socket of our own user is believed, as far as it says that it speaks our protocol. */
function readAnswer(line: string): Answer {
  const answer = readObject(line)
  if (answer.version !== PROTOCOL_VERSION)
    throw new Error(`it speaks version ${String(answer.version)} of the protocol`)
  return answer as unknown as Answer
}

/** Undefined when nobody listens there. */
function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.off('error', failed)
      resolve(socket)
    })
    const failed = (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') resolve(undefined)
      else reject(CONTROL_FAILED({ path, problem: cause.message }, { cause }))
    }
    socket.once('error', failed)
  })
}
