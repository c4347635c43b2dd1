import { DEAD_LETTER_SUPERSEDED, DEAD_LETTERS_OF_RUN } from '../../../core/deadLetterErrors.js'
import { TailraceError } from '../../../core/tailraceError.js'
import { isPassing, serverText } from '../../../destination/failure.js'
import { sqlstateOf } from '../../../postgres/serverError.js'
import { parseLetterRecord } from '../../../sinks/deadLetters/letterRecord.js'
import { LetterWriter } from '../../../sinks/postgres/letterWriter.js'
import type { Batch } from '../../../source/batch.js'
import type { PipelineConfig, SinkConfig } from '../config/pipelineConfig.js'
import type { ReplaySink, Replays } from '../run/replays.js'
import { boxOf, sinksNamed } from './boxOf.js'
import type { Letter, LetterFilter } from './letter.js'
import { letterBatch } from './letterBatch.js'
import type { LetterBox, NewCause } from './letterBox.js'
import { SourceLook } from './sourceLook.js'
import { StoppedSink } from './stoppedSink.js'
import { supersession } from './supersession.js'
import { removeIfEmpty } from './tidy.js'

export interface ReplayOptions {
  readonly sink?: string | undefined
  readonly filter: LetterFilter
  /** Writes also what may be older than what the target has. */
  readonly force: boolean
  /** Takes out what is older than what the source has. */
  readonly dropSuperseded: boolean
  /** The pipeline's run, where it is this process that runs it. */
  readonly running?: Replays | undefined
  /** Where another process runs it: has that write the letters of a sink; undefined: it cannot be asked. */
  readonly askRun?: ((sink: string) => Promise<ReplayResult | undefined>) | undefined
  readonly signal?: AbortSignal | undefined
  /** Hears of each letter that stays, or is put aside again. */
  readonly onKept?: ((sink: string, letter: Letter, cause: TailraceError) => void) | undefined
}

export interface ReplayResult {
  readonly sink: string
  readonly written: number
  /** Older than what the source has: taken out with `dropSuperseded`, else they stay. */
  readonly superseded: number
  /** They stay, with the new reason. */
  readonly failed: number
}

type Counts = { -readonly [Name in keyof ReplayResult]: ReplayResult[Name] }

/** So long a run beside may be kept waiting at a time. */
const QUIET_MS = 250
/** Each look at the source, while a run is kept waiting. */
const LOOK_MS = 2000
/** Letters that become durable together. */
const GROUP = 500
const GROUP_BYTES = 4 * 1024 * 1024

/**
 * Writes dead letters again, the oldest first, sink after sink; those that are there are no longer letters, the others
 * stay. Killed at any moment, a letter is written or still there: at worst both. Rejects with what keeps all of them from being written.
 */
export async function replayLetters(config: PipelineConfig, options: ReplayOptions): Promise<readonly ReplayResult[]> {
  const results: ReplayResult[] = []
  for (const sink of sinksNamed(config, options.sink)) {
    const result = await replaySink(config, sink, options).catch(async (error) => {
      const byRun = DEAD_LETTERS_OF_RUN.is(error) ? await options.askRun?.(sink.name) : undefined
      if (byRun === undefined) throw error
      return byRun
    })
    results.push(result)
  }
  // The lock of a run of this very process would be no obstacle.
  if (options.running === undefined) await removeIfEmpty(config)
  return results
}

async function replaySink(config: PipelineConfig, sink: SinkConfig, options: ReplayOptions): Promise<ReplayResult> {
  await using box = await boxOf(config, sink)
  await box.claim()
  const counts: Counts = { sink: sink.name, written: 0, superseded: 0, failed: 0 }
  try {
    if (sink.letters.own === undefined) await replayThrough(config, sink, box, options, counts)
    else await replayOwn(config, sink, box, options, counts)
  } finally {
    await box.settle()
  }
  return counts
}

/** Of a sink that keeps its letters with its data: each by itself, beside a run. */
async function replayOwn(
  config: PipelineConfig,
  sink: SinkConfig,
  box: LetterBox,
  options: ReplayOptions,
  counts: Counts,
): Promise<void> {
  await using letters = new Pulled(box.letters(options.filter), options.signal)
  let next = await letters.next()
  if (next === undefined) return
  const writer = new LetterWriter(sink.name, sink.letters.own!)
  await using look = options.force ? undefined : await SourceLook.open(config.source.url, LOOK_MS)
  try {
    await writer.open()
    while (next !== undefined) {
      await writer.quietly(async () => {
        const began = performance.now()
        while (next !== undefined && performance.now() - began < QUIET_MS) {
          const cause = await ownOutcome(next, writer, look, config)
          await settleOne(box, sink.name, next, cause, options, counts)
          next = await letters.next()
        }
      })
    }
  } finally {
    await writer.close()
  }
}

/** Undefined: it is written. */
async function ownOutcome(
  letter: Letter,
  writer: LetterWriter,
  look: SourceLook | undefined,
  { processors = [] }: PipelineConfig,
): Promise<TailraceError | undefined> {
  try {
    const record = parseLetterRecord(letter.record)
    const isCompared = look !== undefined && !writer.isAppended(record)
    const older = isCompared ? await supersession(record, look, processors) : undefined
    if (older !== undefined) return older
    await writer.write(record)
    return undefined
  } catch (error) {
    return ofTheLetter(error)
  }
}

async function settleOne(
  box: LetterBox,
  sink: string,
  letter: Letter,
  cause: TailraceError | undefined,
  { dropSuperseded, onKept }: ReplayOptions,
  counts: Counts,
  isPutAside = false,
): Promise<void> {
  const isOlder = DEAD_LETTER_SUPERSEDED.is(cause)
  if (cause === undefined) counts.written++
  else if (isOlder) counts.superseded++
  else counts.failed++
  if (cause === undefined || (isOlder && dropSuperseded)) return box.remove(letter)
  onKept?.(sink, letter, cause)
  await (isPutAside ? box.remove(letter) : box.keep(letter, causeOf(cause)))
}

/** Through the sink itself: the run's, or one that is opened for it where nothing runs. */
async function replayThrough(
  config: PipelineConfig,
  sink: SinkConfig,
  box: LetterBox,
  options: ReplayOptions,
  counts: Counts,
): Promise<void> {
  await using letters = new Pulled(box.letters(options.filter), options.signal)
  let next = await letters.next()
  if (next === undefined) return
  const running = options.running?.sink(sink.name)
  const stopped = running === undefined ? await StoppedSink.open(config, sink) : undefined
  const through: ReplaySink = running ?? stopped!
  const { format } = sink.letters
  let look: SourceLook | undefined
  try {
    look = await SourceLook.open(config.source.url).catch(() => undefined)
    while (next !== undefined) {
      const group: { readonly letter: Letter; readonly batch: Batch }[] = []
      for (
        let bytes = 0;
        next !== undefined && group.length < GROUP && bytes < GROUP_BYTES;
        next = await letters.next()
      ) {
        bytes += next.record.length
        try {
          const batch = await letterBatch(next.record, { look, source: config.source, format })
          group.push({ letter: next, batch })
        } catch (error) {
          await settleOne(box, sink.name, next, ofTheLetter(error), options, counts)
        }
      }
      const rejected = await through.write(group.map(({ batch }) => batch))
      for (const [index, { letter }] of group.entries()) {
        const cause = rejected.get(index)
        // What was put aside is another letter by now, with the new reason.
        await settleOne(box, sink.name, letter, cause, options, counts, through.putsAside)
      }
      await box.settle()
    }
  } finally {
    await stopped?.close()
    await look?.[Symbol.asyncDispose]()
  }
}

/** Letters as they are asked for. */
class Pulled implements AsyncDisposable {
  readonly #letters: AsyncIterator<Letter>
  readonly #signal: AbortSignal | undefined

  constructor(letters: AsyncIterable<Letter>, signal: AbortSignal | undefined) {
    this.#letters = letters[Symbol.asyncIterator]()
    this.#signal = signal
  }

  /** Undefined: there is none, or no more is wanted. */
  async next(): Promise<Letter | undefined> {
    if (this.#signal?.aborted === true) return undefined
    const { done, value } = await this.#letters.next()
    return done === true ? undefined : value
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#letters.return?.()
  }
}

/** Throws what is not one letter's fault. */
function ofTheLetter(error: unknown): TailraceError {
  if (error instanceof TailraceError && !isPassing(error)) return error
  throw error
}

function causeOf(cause: TailraceError): NewCause {
  return { problem: serverText(cause), sqlstate: sqlstateOf(cause) }
}
