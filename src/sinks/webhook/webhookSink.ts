import { type LineOptions, lineEncoder } from '../../codec/lines/lineEncoder.js'
import { type Deferred, deferred } from '../../core/deferred.js'
import type { SpareMemory } from '../../core/spareMemory.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { readTrust, type TlsOptions } from '../../core/tls.js'
import { WEBHOOK_RECORD_REFUSED } from '../../core/webhookErrors.js'
import { sqlName } from '../../postgres/identifier.js'
import type { Batch } from '../../source/batch.js'
import type { Outages, Reject, Sink, SinkEvent, SinkMark } from '../sink.js'
import { type BodyOptions, bodyMemory, messageOf, separatorOf } from './body.js'
import { encodeRuns, type RunEncoding } from './encodedRun.js'
import { Endpoint, type EndpointOptions } from './endpoint.js'
import { concerned, queuesOf, SEVERAL } from './keyQueues.js'
import { LineMemory } from './lineMemory.js'
import { Parcel } from './parcel.js'
import { Gate, Queue } from './queue.js'

export interface WebhookSinkOptions {
  readonly endpoint: Omit<EndpointOptions, 'connections'>
  /** Absolute. */
  readonly tls: TlsOptions
  readonly lines: LineOptions
  readonly maxLineBytes: number | undefined
  readonly body: BodyOptions
  /** Of one request at most. */
  readonly most: { readonly count: number; readonly bytes: number }
  /** So long a record waits for others to go with it, milliseconds. */
  readonly delayMs: number
  /** Requests at a time. */
  readonly parallel: number
}

/** What encoded records take that wait, or are under way, is at least and at most so much; a larger record goes alone. */
const [LEAST_BYTES, MOST_BYTES] = [4 * 1024 * 1024, 16 * 1024 * 1024]
/** In between there is room for so many requests of each queue. */
const REQUESTS_AHEAD = 3
/** So many records are encoded at a time: then it is looked whether there is room for more. */
const SLICE = 1000
/** As many have to have room where others are already. */
const LEAST_SLICE = 32
/** About what a record's line takes, until one is known. */
const USUAL_LINE = 512

interface Given {
  readonly batch: Batch
  readonly reject: Reject | undefined
  /** Of each record. */
  readonly queues: Int8Array
}

/**
 * Records in requests to one URL, at least once. There is one request at a time of each key: records of one key are in one queue, and
 * each queue has one under way. What is written is durable when all that was sent is answered.
 */
export class WebhookSink implements Sink {
  readonly isSlow = true
  readonly releasesBatches = true
  readonly closesWhileBusy = true
  readonly #options: WebhookSinkOptions
  readonly #endpoint: Endpoint
  #encoding: RunEncoding
  #queues: Queue[] = []
  #memory = new LineMemory()
  readonly #bodies: SpareMemory
  /** In all queues, and under way. */
  #lines = 0
  /** What a line took of late. */
  #usualLine = USUAL_LINE
  /** Nothing waits for more to go with it. */
  #hurried = false
  #failure: unknown
  #moved: Deferred<void> = deferred()
  /** Raised with each `open`, so that what an earlier one began is told apart. */
  #epoch = 0

  constructor(options: WebhookSinkOptions) {
    this.#options = options
    this.#endpoint = new Endpoint({ ...options.endpoint, connections: options.parallel })
    this.#bodies = bodyMemory(options.parallel)
    this.#encoding = this.#newEncoding()
  }

  get outages(): Outages {
    return this.#endpoint.outages
  }

  listen(tell: (event: SinkEvent) => void): void {
    this.#endpoint.tell = tell
  }

  async open(): Promise<undefined> {
    const { tls, parallel } = this.#options
    const trust = readTrust(tls)
    this.#epoch++
    this.#encoding = this.#newEncoding()
    this.#queues = Array.from({ length: parallel }, () => new Queue())
    // Requests of before may still be looked into.
    this.#memory = new LineMemory()
    this.#lines = 0
    this.#hurried = false
    this.#failure = undefined
    this.#endpoint.open(trust)
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    const { length: queues } = this.#queues
    const given: Given = { batch, reject, queues: queuesOf(batch, queues) }
    for (let from = 0; from < batch.length; ) {
      if (this.#isFull) for (const queue of this.#queues) this.#pump(queue)
      await this.#until(() => !this.#isFull)
      const several = given.queues.indexOf(SEVERAL, from)
      const to = Math.min(from + this.#slice(), several < 0 ? batch.length : several)
      if (to > from) this.#add(given, from, to)
      else this.#addGate(given, from)
      from = Math.max(to, from + 1)
    }
  }

  async flush(): Promise<SinkMark> {
    await this.#settled()
    return null
  }

  async close(): Promise<void> {
    this.#epoch++
    for (const queue of this.#queues) queue.clear()
    this.#queues = []
    this.#endpoint.close()
    // Whoever waits for an answer gets none, and nothing of that is durable.
    this.#failure ??= new Error('the sink was closed')
    this.#wake()
  }

  get #isFull(): boolean {
    const { most, parallel } = this.#options
    const request = Math.min(most.bytes, most.count * this.#usualLine)
    const ahead = Math.min(MOST_BYTES, Math.max(LEAST_BYTES, REQUESTS_AHEAD * parallel * request))
    return this.#memory.bytes >= ahead
  }

  /** As many records as there is room for in one piece of memory. */
  #slice(): number {
    const { room } = this.#memory.piece(LEAST_SLICE * this.#usualLine)
    return Math.max(1, Math.min(SLICE, Math.floor(room / this.#usualLine)))
  }

  #newEncoding(): RunEncoding {
    const { lines, maxLineBytes, body } = this.#options
    return {
      encoder: lineEncoder(lines),
      isDebezium: lines.format === 'debezium',
      separator: separatorOf(body),
      maxLineBytes,
    }
  }

  #add({ batch, reject, queues }: Given, from: number, to: number): void {
    const groups: number[][] = this.#queues.map(() => [])
    for (let index = from; index < to; index++) groups[queues[index]!]!.push(index)
    const now = performance.now()
    const piece = this.#memory.piece(LEAST_SLICE * this.#usualLine)
    const before = piece.writer.size
    const runs = encodeRuns(this.#encoding, piece, batch, groups, reject)
    // They may be longer than these.
    this.#usualLine = Math.max(1, Math.ceil((1.1 * (piece.writer.size - before)) / (to - from)))
    for (const [number, run] of runs.entries()) {
      if (run === undefined) continue
      const queue = this.#queues[number]!
      queue.add(run, now)
      this.#lines += run.ends.length
    }
    for (const queue of this.#queues) this.#pump(queue)
  }

  #addGate({ batch, reject }: Given, index: number): void {
    const piece = this.#memory.piece(this.#usualLine)
    const [run] = encodeRuns(this.#encoding, piece, batch, [[index]], reject)
    if (run === undefined) return
    const parcel = new Parcel([{ run, from: 0, to: run.ends.length }])
    const queues = concerned(batch, index, this.#queues.length).map((number) => this.#queues[number]!)
    const gate = new Gate(parcel, queues)
    this.#lines += parcel.count
    for (const queue of queues) queue.addGate(gate)
    for (const queue of queues) this.#pump(queue)
  }

  /** All that was given is answered. */
  async #settled(): Promise<void> {
    this.#hurried = true
    for (const queue of this.#queues) this.#pump(queue)
    try {
      await this.#until(() => this.#lines === 0)
    } finally {
      this.#hurried = false
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    while (this.#failure === undefined && !condition()) await this.#moved.promise
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Has a queue's next request sent, if it is time for it. */
  #pump(queue: Queue): void {
    if (queue.busy || this.#failure !== undefined) return
    const { gate } = queue
    if (gate !== undefined) {
      queue.busy = true
      if (gate.reached(queue)) this.#sendGate(gate)
      return
    }
    if (queue.count === 0) return
    const { most, delayMs } = this.#options
    const now = performance.now()
    const waitMs = queue.since! + delayMs - now
    const isFull = queue.count >= most.count || queue.bytes >= most.bytes
    // Who waits for room, or at a gate, would wait for the delay, too.
    const isWaitedFor = this.#hurried || queue.hasGates || this.#isFull
    if (!isFull && waitMs > 0 && !isWaitedFor) {
      queue.timer ??= setTimeout(() => {
        queue.timer = undefined
        this.#pump(queue)
      }, waitMs)
      return
    }
    clearTimeout(queue.timer)
    queue.timer = undefined
    queue.busy = true
    const parcel = queue.take(most, now)
    this.#sent(parcel, this.#send(parcel), [queue])
  }

  #sendGate({ parcel, queues }: Gate): void {
    for (const queue of queues) queue.passGate()
    this.#sent(parcel, this.#sendLines(parcel), queues)
  }

  /** In as many requests as it takes: a record may have two lines. */
  async #sendLines(parcel: Parcel): Promise<void> {
    const parts = parcel.count > this.#options.most.count ? parcel.halves() : [parcel]
    for (const part of parts) await this.#send(part)
  }

  #sent(parcel: Parcel, sending: Promise<void>, queues: readonly Queue[]): void {
    const epoch = this.#epoch
    sending.then(
      () => {
        if (epoch !== this.#epoch) return
        parcel.release()
        this.#lines -= parcel.count
        for (const queue of queues) queue.busy = false
        for (const queue of queues) this.#pump(queue)
        this.#wake()
      },
      (error) => {
        if (epoch !== this.#epoch) return
        this.#failure ??= error
        this.#endpoint.close()
        this.#wake()
      },
    )
  }

  /** Of several records that are refused it is found which ones are meant: the halves are sent by themselves, in order. */
  async #send(parcel: Parcel): Promise<void> {
    const { lease, ...message } = messageOf(parcel, this.#options.body, this.#bodies)
    const { refused, isSent } = await this.#endpoint.deliver(message)
    if (isSent) lease?.giveBack()
    else parcel.leave()
    if (refused === undefined) return
    if (parcel.count > 1) {
      for (const half of parcel.halves()) await this.#send(half)
      return
    }
    const [{ run, from }] = parcel.spans as [Parcel['spans'][number]]
    const index = run.records[from]!
    const { id, table } = run.batch.at(index)!
    const name = table === undefined ? 'a logical message' : sqlName(table)
    const error: TailraceError = WEBHOOK_RECORD_REFUSED({ ...refused, table: name, id })
    if (run.reject === undefined) throw error
    run.reject(index, error)
  }

  #wake(): void {
    this.#moved.resolve()
    this.#moved = deferred()
  }
}
