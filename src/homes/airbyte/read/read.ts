import { ByteWriter } from '../../../core/byteWriter.js'
import { SLOT_AHEAD, SLOT_LOST, SLOT_MISSING } from '../../../core/errors.js'
import type { Table } from '../../../core/table.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { quoteQualified } from '../../../postgres/identifier.js'
import { Session } from '../../../postgres/session.js'
import { dropSlot, inspectSlot } from '../../../postgres/slot.js'
import { visibleLsn } from '../../../postgres/visibleLsn.js'
import { connectReadOnly } from '../../../source/doctor/readFacts.js'
import type { SourceEvent } from '../../../source/events.js'
import type { SourceOptions } from '../../../source/options.js'
import type { StreamPosition } from '../../../source/position.js'
import type { AirbyteConfig } from '../config/readConfig.js'
import { databaseFacts } from '../discover/tableFacts.js'
import { failureMessage } from '../protocol/failure.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import { estimateMessage, type StreamDescriptor, statusMessage } from '../protocol/messages.js'
import { Checkpoints } from './checkpoints.js'
import { type ConfiguredCatalog, describeStream } from './configuredCatalog.js'
import { EventLog } from './eventLog.js'
import { readFullRefresh } from './fullRefresh.js'
import { readIncremental } from './incremental.js'
import type { Joined } from './joinPositions.js'
import { isOwnKey, type MatchedStream, matchStreams } from './matchStreams.js'
import { RecordWriter } from './recordWriter.js'
import { resume } from './resume.js'
import type { SavedState } from './savedState.js'
import { modeOf, resetLine } from './stateMessages.js'
import { StreamLines } from './streamLines.js'

/** What transactions that run may be waited for, so that all that is in the WAL is visible. */
const RUNNING_MS = 3000
const PAGE_BYTES = 8192

export interface ReadInput {
  readonly config: AirbyteConfig
  readonly catalog: ConfiguredCatalog
  readonly state: SavedState
  readonly output: MessageOutput
  readonly signal: AbortSignal
}

interface RunStream {
  readonly matched: MatchedStream
  readonly lines: StreamLines
}

/** Reads all streams of a catalog; gives whether every one of them was read as it was wanted. */
export async function read(input: ReadInput): Promise<boolean> {
  return new ReadRun(input).run()
}

class ReadRun {
  readonly #input: ReadInput
  readonly #events: EventLog
  readonly #writer = new ByteWriter()
  readonly #signal: AbortSignal
  readonly #tail: boolean
  #failed = false
  #streams: readonly RunStream[] = []
  #checkpoints!: Checkpoints
  #scan = { lsn: 0n, time: Date.now() }
  #reached: StreamPosition | undefined
  /** STATE lines of streams that are captured no more, until they are written. */
  #resets = ''

  constructor(input: ReadInput) {
    this.#input = input
    this.#events = new EventLog(input.output)
    const { max_lifespan_seconds: lifespan, tail } = input.config
    const limits = lifespan > 0 ? [AbortSignal.timeout(Math.min(lifespan * 1000, 2 ** 31 - 1))] : []
    this.#signal = AbortSignal.any([input.signal, ...limits])
    this.#tail = tail || input.catalog.tail
  }

  async run(): Promise<boolean> {
    const { catalog, output } = this.#input
    for (const { descriptor } of [...catalog.streams, ...catalog.refused]) {
      output.send(statusMessage('STARTED', descriptor))
    }
    for (const { descriptor, error } of catalog.refused) this.#refuse(descriptor, error)
    let joined: Joined | undefined
    try {
      joined = await this.#prepare()
    } catch (error) {
      if (this.#signal.aborted) return !this.#failed
      for (const { descriptor } of catalog.streams) output.send(statusMessage('INCOMPLETE', descriptor))
      throw error
    }
    const phases = [() => this.#incremental(joined), () => this.#fullRefresh()]
    // What has no end comes last.
    for (const phase of this.#tail ? phases.reverse() : phases) {
      if (this.#signal.aborted) break
      await phase()
    }
    return !this.#failed
  }

  /** Finds the tables, and where each stream goes on. */
  async #prepare(): Promise<Joined | undefined> {
    const { config, catalog, state, output } = this.#input
    await using session = await connectReadOnly(parseConnectionString(config.source.url))
    const database = await databaseFacts(session)
    const matched = await matchStreams(session, database, config, catalog.streams)
    for (const { descriptor, error } of matched.refused) this.#refuse(descriptor, error)
    const ofMode = (mode: string) => matched.streams.filter(({ stream }) => stream.mode === mode)
    const { confirmedFlushLsn: confirmed } = (await inspectSlot(session, config.slot_name)) ?? {}
    const resumed = resume(state, ofMode('incremental'), {
      server: database.server,
      slot: config.slot_name,
      confirmed,
      resync: config.on_lost_position === 'resync',
    })
    for (const warning of resumed.warnings) output.log('WARN', warning)
    // Of the other types each STATE has those that are captured, and no others.
    if (config.state_type === 'stream') this.#resets = resumed.removed.map(resetLine).join('')
    for (const { stream, error } of resumed.refused) this.#refuse(stream.stream.descriptor, error)
    const streams = [...resumed.streams, ...ofMode('full_refresh')]
    this.#streams = streams.map((one) => ({ matched: one, lines: new StreamLines(one.stream) }))
    this.#checkpoints = new Checkpoints({
      type: config.state_type,
      everyMs: config.checkpoint_seconds * 1000,
      streams: this.#streams,
    })
    // Rows that are read count as newer than any change that an earlier run can have written.
    const { lsn } = await visibleLsn(session, RUNNING_MS, this.#signal)
    this.#scan = { lsn: lsn - 1n, time: Date.now() }
    this.#estimate(resumed.joined)
    return resumed.joined
  }

  /** Of what is read from its beginning. */
  #estimate(joined: Joined | undefined): void {
    for (const { matched } of this.#streams) {
      const { stream, facts } = matched
      const { estimatedRows, oid, pages } = facts.table
      const known = joined?.position.origin.captured?.includes(oid) === true
      if (estimatedRows === undefined || (known && stream.mode === 'incremental')) continue
      this.#input.output.send(estimateMessage(stream.descriptor, Math.round(estimatedRows), pages * PAGE_BYTES))
    }
  }

  async #incremental(joined: Joined | undefined): Promise<void> {
    const streams = this.#ofMode('incremental')
    if (streams.length === 0) return
    this.#reached = joined?.position
    try {
      await this.#readIncremental(streams, joined)
    } catch (error) {
      await this.#state('changed')
      return this.#fail(error, streams)
    }
    const over = this.#signal.aborted
    for (const { lines } of streams) this.#running(lines)
    await this.#state('incremental')
    for (const { lines, matched } of streams) {
      const { oid } = matched.facts.table
      const scanning = this.#reached === undefined || modeOf(this.#reached, oid) === 'scanning'
      const complete = !over || (this.#tail && !scanning)
      this.#input.output.send(statusMessage(complete ? 'COMPLETE' : 'INCOMPLETE', lines.stream.descriptor))
    }
  }

  async #readIncremental(streams: readonly RunStream[], joined: Joined | undefined): Promise<void> {
    const { config, output } = this.#input
    const attempt = (from: Joined | undefined) =>
      readIncremental({
        options: this.#options(streams, from?.position),
        incoming: from?.position,
        records: this.#records(streams, from),
        checkpoints: this.#checkpoints,
        writer: this.#writer,
        output,
        onEvent: (event) => this.#hear(event),
        onReached: (position) => {
          this.#reached = position
        },
      })
    try {
      await attempt(joined)
    } catch (error) {
      const lost = SLOT_LOST.is(error) || SLOT_MISSING.is(error) || SLOT_AHEAD.is(error)
      if (!lost || config.on_lost_position !== 'resync') throw error
      output.log('WARN', `${(error as Error).message}: all streams are read anew`)
      if (SLOT_LOST.is(error)) await this.#dropSlot()
      this.#reached = undefined
      await attempt(undefined)
    }
  }

  /** It holds nothing any more, and is in the way of one of its name. */
  async #dropSlot(): Promise<void> {
    const { config } = this.#input
    await using session = await Session.connect(parseConnectionString(config.source.url), {})
    await dropSlot(session, config.slot_name)
  }

  async #fullRefresh(): Promise<void> {
    const streams = this.#ofMode('full_refresh')
    if (streams.length === 0) return
    const { output } = this.#input
    try {
      const { slot: _, publication: __, until: ___, ...options } = this.#options(streams, undefined)
      await readFullRefresh({
        options,
        records: this.#records(streams, undefined),
        writer: this.#writer,
        output,
        onEvent: (event) => this.#hear(event),
      })
    } catch (error) {
      return this.#fail(error, streams)
    }
    if (this.#signal.aborted) {
      for (const { lines } of streams) output.send(statusMessage('INCOMPLETE', lines.stream.descriptor))
      return
    }
    for (const { lines } of streams) this.#running(lines)
    await this.#state('full_refresh')
    for (const { lines } of streams) output.send(statusMessage('COMPLETE', lines.stream.descriptor))
  }

  #ofMode(mode: string): readonly RunStream[] {
    return this.#streams.filter(({ matched }) => matched.stream.mode === mode)
  }

  #options(streams: readonly RunStream[], position: StreamPosition | undefined): SourceOptions {
    const { config } = this.#input
    const { exclude: _, ...source } = config.source
    const keys: Record<string, readonly string[]> = {}
    const columns: Record<string, readonly string[]> = {}
    const tables = streams.map(({ matched: { stream, facts } }) => {
      const { schema, name } = facts.table
      const table = quoteQualified(schema, name)
      if (stream.mode === 'incremental' && !isOwnKey(stream.key, facts)) keys[table] = stream.key!
      const wanted = facts.planned.columns.filter((column) => stream.fields?.has(column) ?? true)
      if (wanted.length > 0 && wanted.length < facts.planned.columns.length) columns[table] = wanted
      return table
    })
    return {
      ...source,
      tables,
      keys,
      columns,
      position,
      slot: config.slot_name,
      publication: config.publication_name,
      existingSlot: 'snapshot',
      strategy: 'incremental',
      onRedeliveryChange: 'repeat',
      signal: this.#signal,
      startBatch: true,
      ...(!this.#tail && { until: 'current' }),
    }
  }

  #records(streams: readonly RunStream[], joined: Joined | undefined): RecordWriter {
    const byOid = new Map(streams.map(({ matched, lines }) => [matched.facts.table.oid, lines]))
    const byName = new Map(
      streams.map(({ matched: { facts }, lines }) => [quoteQualified(facts.table.schema, facts.table.name), lines]),
    )
    return new RecordWriter({
      format: this.#input.config.record_format,
      scan: this.#scan,
      // Made anew under its name it is another table of the same stream.
      streamOf: ({ oid, schema, name }: Table) => byOid.get(oid) ?? byName.get(quoteQualified(schema, name)),
      ahead: joined?.ahead ?? new Map(),
      onUnsaid: (stream, what) => this.#unsaid(stream, what),
    })
  }

  #unsaid(lines: StreamLines, what: 'unchanged' | 'truncate'): void {
    const name = describeStream(lines.stream.descriptor)
    const text =
      what === 'truncate'
        ? `${name} was truncated: no record says so. Reset the stream to have its rows anew`
        : `${name}: large values that updates left as they were are not in the records. Set toast to fetch; it needs a key`
    if (what === 'truncate' || !lines.toldOfTruncate) this.#input.output.log('WARN', text)
  }

  #hear(event: SourceEvent): void {
    this.#events.tell(event)
  }

  /** Before its first STATE, also of a stream without a record. */
  #running(lines: StreamLines): void {
    if (lines.running) return
    lines.running = true
    this.#input.output.send(statusMessage('RUNNING', lines.stream.descriptor))
  }

  async #state(which: 'changed' | 'incremental' | 'full_refresh'): Promise<void> {
    const { output } = this.#input
    const position = this.#reached
    if (position === undefined && which !== 'full_refresh') return
    const lines = this.#checkpoints.lines(which === 'full_refresh' ? undefined : position, which)
    await output.lines([Buffer.from(this.#resets + lines)])
    this.#resets = ''
  }

  #refuse(descriptor: StreamDescriptor, error: unknown): void {
    this.#failed = true
    this.#input.output.send(failureMessage(error, descriptor), statusMessage('INCOMPLETE', descriptor))
  }

  #fail(error: unknown, streams: readonly RunStream[]): void {
    this.#failed = true
    const { output } = this.#input
    output.send(failureMessage(error))
    for (const { lines } of streams) output.send(statusMessage('INCOMPLETE', lines.stream.descriptor))
  }
}
