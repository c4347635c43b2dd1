import { OUTPUT_MISMATCH } from '../../core/pipelineErrors.js'
import type { PositionJson } from '../../core/record.js'
import type { DestinationOptions } from '../../destination/options.js'
import { PostgresDestination } from '../../destination/postgresDestination.js'
import type { Batch } from '../../source/batch.js'
import { StreamPosition } from '../../source/position.js'
import type { DeadLetterCount, Sink, SinkEvent, SinkMark } from '../sink.js'
import { isBehind } from './isBehind.js'

/** Of which the target has everything, as the state keeps it; null: of nothing that could be gone on from. */
interface PostgresMark {
  readonly position: PositionJson | null
}

/** So that a transaction of the target takes some tenths of a second at most, and its own cost is next to nothing. */
const GATHERED_BYTES = 4 * 1024 * 1024

/**
 * Tables of a database, kept as the source's are: each batch in one transaction with its position, so that the target
 * itself says where to go on. Exactly once.
 */
export class PostgresSink implements Sink {
  readonly storesPosition = true
  readonly releasesBatches = true
  readonly gathersBytes = GATHERED_BYTES
  readonly #options: DestinationOptions
  #tell: ((event: SinkEvent) => void) | undefined
  #destination: PostgresDestination | undefined
  #written: StreamPosition | undefined
  /** Put aside by those before it. */
  #letters = 0
  /** The last that is durable, as far as we were told. */
  #committed: StreamPosition | undefined
  /** What stood there when this run began. */
  #before: { readonly position: StreamPosition | undefined } | undefined

  constructor(options: DestinationOptions) {
    this.#options = options
  }

  get deadLetters(): DeadLetterCount {
    const { count, problem } = this.#destination?.deadLetters ?? { count: 0, problem: '' }
    return { count: this.#letters + count, problem }
  }

  listen(tell: (event: SinkEvent) => void): void {
    this.#tell = tell
  }

  async open(mark: SinkMark | undefined): Promise<PositionJson | null> {
    this.#destination = new PostgresDestination({ ...this.#options, onKey: this.#tell })
    const found = await this.#destination.open()
    const stored = found === undefined ? undefined : StreamPosition.parse(found)
    const { position: known } = (mark ?? { position: null }) as unknown as PostgresMark
    if (known !== null) this.#requireAll(stored, StreamPosition.parse(known))
    this.#before ??= { position: stored }
    this.#written = this.#committed = stored
    // Rows of a run that begins anew are skipped only if it was this run that wrote them.
    const isOfOtherRun = stored?.isNothing === true && String(stored) === String(this.#before.position)
    return stored === undefined || isOfOtherRun ? null : stored.toJSON()
  }

  async write(batch: Batch): Promise<void> {
    await this.#destination!.write(batch)
    this.#written = StreamPosition.parse(batch.position)
  }

  get preparesBatches(): number {
    return Math.max(1, this.#destination === undefined ? 1 : this.#destination.copyConnections - 1)
  }

  prepare(next: Batch): void {
    this.#destination?.prepare(next)
  }

  /** A transaction that is still open is so because nobody could go on from where it stands. */
  async flush({ end }: { readonly end: boolean }): Promise<SinkMark> {
    const destination = this.#destination!
    if (await (end ? destination.end() : destination.flush())) this.#committed = this.#written
    const position = this.#committed
    const mark: PostgresMark = { position: position === undefined || position.isNothing ? null : position.toJSON() }
    return { ...mark }
  }

  async close(): Promise<void> {
    const destination = this.#destination
    this.#destination = undefined
    this.#letters += destination?.deadLetters.count ?? 0
    await destination?.close()
  }

  /** A target that was put back, or is another one, lacks what the source does not send again. */
  #requireAll(stored: StreamPosition | undefined, known: StreamPosition): void {
    if (stored !== undefined && !isBehind(stored, known)) return
    const { source, checkpointSchema = 'tailrace' } = this.#options
    throw OUTPUT_MISMATCH({
      path: `the row of "${source}" in ${checkpointSchema}.checkpoint`,
      problem: stored === undefined ? 'it is gone, and there was one' : 'it stands before what was written',
    })
  }
}
