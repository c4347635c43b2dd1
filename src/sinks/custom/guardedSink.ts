import { SINK_FAILED, SINK_INVALID, SINK_UNAVAILABLE } from '../../core/customSinkErrors.js'
import type { PositionJson } from '../../core/record.js'
import { type Retry, TailraceError } from '../../core/tailraceError.js'
import type { Batch } from '../../source/batch.js'
import { StreamPosition } from '../../source/position.js'
import type { FlushOptions, Reject, Sink, SinkMark } from '../sink.js'
import { WrappedSink } from '../wrappedSink.js'
import { rejection } from './rejection.js'

const REQUIRED = ['open', 'write', 'flush', 'close'] as const
const OPTIONAL = ['listen', 'prepare', 'recorded', 'dueAt'] as const

/** What Node calls a peer that is away for a while. */
const PASSING = /^(ECONN(REFUSED|RESET|ABORTED)|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|E(HOST|NET)UNREACH|UND_ERR_\w+)$/

/**
 * A sink that somebody else has written. Its errors become ours, and what it gives is looked at where it is given: what
 * would be a riddle in the state file or at the next start is told with the sink's name.
 */
export class GuardedSink extends WrappedSink {
  readonly #name: string
  readonly #sink: Sink
  /** A call that a run has left behind: what it still does would come between what a new run does. */
  #hanging = 0

  /** One that is made now; what `make` throws is told as an error of the sink. */
  static made(name: string, make: () => unknown): GuardedSink {
    let sink: unknown
    try {
      sink = make()
    } catch (error) {
      throw explainSink(name, 'create', error)
    }
    return new GuardedSink(name, sink)
  }

  constructor(name: string, sink: unknown) {
    requireSink(name, sink)
    super(sink)
    this.#name = name
    this.#sink = sink
  }

  get writesDuringFlush(): boolean {
    return this.#sink.writesDuringFlush === true
  }

  async open(mark: SinkMark | undefined): Promise<PositionJson | null | undefined> {
    if (this.#hanging > 0) throw this.#unavailable('open', 'a call from before has not ended yet')
    const found = await this.#call('open', async () => this.#sink.open(mark))
    if (found === undefined && !this.storesPosition) return undefined
    if (!this.storesPosition) throw this.#invalid('open gave a position, and storesPosition is not true')
    if (found === undefined)
      throw this.#invalid('storesPosition is true, and open gave undefined; null says that it has nothing')
    if (found === null) return null
    try {
      return StreamPosition.parse(found).toJSON()
    } catch (cause) {
      throw this.#invalid(`open gave what is no position: ${(cause as Error).message}`)
    }
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    await this.#call('write', () => this.#sink.write(batch, reject && this.#checked(batch, reject)))
  }

  async flush(options: FlushOptions): Promise<SinkMark> {
    const mark = await this.#call('flush', () => this.#sink.flush(options))
    const problem = problemOfMark(mark)
    if (problem !== undefined)
      throw this.#invalid(`flush gave ${problem}; null, or an object that JSON can hold, is expected`)
    return mark
  }

  async recorded(mark: SinkMark): Promise<void> {
    await this.#call('recorded', async () => this.#sink.recorded?.(mark))
  }

  async close(): Promise<void> {
    await this.#call('close', () => this.#sink.close(), 0)
  }

  #checked(batch: Batch, reject: Reject): Reject {
    return (index, cause) => {
      if (batch.at(index) === undefined) {
        throw this.#invalid(`it rejected record ${index} of a batch of ${batch.length}`)
      }
      reject(index, rejection(cause))
    }
  }

  async #call<Result>(call: string, work: () => Promise<Result>, counts = 1): Promise<Result> {
    this.#hanging += counts
    try {
      return await work()
    } catch (error) {
      throw explainSink(this.#name, call, error)
    } finally {
      this.#hanging -= counts
    }
  }

  #unavailable(call: string, problem: string): TailraceError {
    return SINK_UNAVAILABLE({ sink: this.#name, call, problem, hint: undefined })
  }

  #invalid(problem: string): TailraceError {
    return SINK_INVALID({ sink: this.#name, problem })
  }
}

/** Any error of somebody's sink as one of ours; `call`: which of its methods it came from. */
export function explainSink(sink: string, call: string, error: unknown): TailraceError {
  if (error instanceof TailraceError) return error
  const { name, code, retry, hint, message = String(error), details, cause } = (error ?? {}) as Partial<TailraceError>
  const text = typeof hint === 'string' ? hint : undefined
  // Of the package as the sink has it, which need not be the one that runs it.
  if (name === 'TailraceError' && typeof code === 'string' && text !== undefined) {
    return new TailraceError(code, message, text, retry as Retry, details ?? {}, { cause: error })
  }
  const codes = [code, (cause as { readonly code?: unknown } | undefined)?.code]
  const passes = retry === 'later' || codes.some((one) => PASSING.test(String(one)))
  const make = passes ? SINK_UNAVAILABLE : SINK_FAILED
  return make({ sink, call, problem: message, hint: text }, { cause: error })
}

function requireSink(name: string, sink: unknown): asserts sink is Sink {
  if (typeof sink !== 'object' || sink === null) {
    throw SINK_INVALID({
      sink: name,
      problem: `an object with ${REQUIRED.join(', ')} is expected, not ${kindOf(sink)}`,
    })
  }
  const { ...members } = Object.fromEntries([...REQUIRED, ...OPTIONAL].map((one) => [one, (sink as never)[one]]))
  const missing = REQUIRED.find((one) => typeof members[one] !== 'function')
  if (missing !== undefined) throw SINK_INVALID({ sink: name, problem: `it has no method ${missing}` })
  const wrong = OPTIONAL.find((one) => members[one] !== undefined && typeof members[one] !== 'function')
  if (wrong !== undefined) throw SINK_INVALID({ sink: name, problem: `its ${wrong} is no method` })
}

/** What a mark is instead of one that can be kept; undefined: nothing is wrong. */
export function problemOfMark(mark: unknown): string | undefined {
  if (mark === null) return undefined
  if (typeof mark !== 'object' || Array.isArray(mark)) return kindOf(mark)
  try {
    return isDeepEqual(JSON.parse(JSON.stringify(mark)), mark)
      ? undefined
      : 'what comes back from JSON as something else'
  } catch (error) {
    return `what JSON does not hold (${(error as Error).message})`
  }
}

function isDeepEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a === b
  const entries = Object.entries(b).filter(([, value]) => value !== undefined)
  const isSameKind = Array.isArray(a) === Array.isArray(b) && entries.length === Object.keys(a).length
  return isSameKind && entries.every(([key, value]) => isDeepEqual((a as Record<string, unknown>)[key], value))
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
