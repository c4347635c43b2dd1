import { availableParallelism } from 'node:os'
import { isOnThisMachine } from '../../../postgres/connection/hosts.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { quoteQualified } from '../../../postgres/identifier.js'
import type { SourceEvent } from '../../../source/events.js'
import type { AirbyteConfig } from '../config/readConfig.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { Checkpoints } from './checkpoints.js'
import type { ConfiguredStream } from './configuredCatalog.js'
import type { Joined } from './joinPositions.js'
import { PAGE_BYTES, type ReadPlan, type RunStream } from './plan.js'
import { RecordLines } from './recordLines.js'
import type { RecordSetup } from './recordSetup.js'
import type { StreamReports } from './streamReports.js'

/** What the phases of a run have in common: its changes, and its full refreshes. */
export interface Phase {
  readonly config: AirbyteConfig
  readonly plan: ReadPlan
  /** The run has no end. */
  readonly tail: boolean
  /** Ends it, with a STATE of all that was written. */
  readonly signal: AbortSignal
  readonly output: MessageOutput
  readonly reports: StreamReports
  readonly checkpoints: Checkpoints
  readonly onEvent: (event: SourceEvent) => void
  /** File of the thread that may write records; undefined: there is none. */
  readonly recordWorker: URL | undefined
}

export function streamsOf({ plan }: Phase, mode: ConfiguredStream['mode']): readonly RunStream[] {
  return plan.streams.filter(({ matched }) => matched.stream.mode === mode)
}

/** How the records of these streams are written, which go on from `joined`. */
function recordSetupOf(
  { config, plan }: Phase,
  streams: readonly RunStream[],
  joined: Joined | undefined,
): RecordSetup {
  const ahead = [...(joined?.ahead ?? [])].map(
    ([oid, { lsn, seq, sub, end }]) => [oid, { lsn, seq, sub, end }] as const,
  )
  return {
    format: config.record_format,
    scan: plan.scan,
    streams: streams.map(({ matched: { stream, facts }, lines: { number } }) => {
      const { oid, schema, name } = facts.table
      return { stream, number, oid, table: quoteQualified(schema, name) }
    }),
    ahead: new Map(ahead),
  }
}

/** RECORD lines of these streams, in order. */
export function recordLinesOf(phase: Phase, streams: readonly RunStream[], joined: Joined | undefined): RecordLines {
  const { config, output, reports, recordWorker } = phase
  const keyed = streams.filter(({ matched: { stream, facts } }) => (stream.key ?? facts.planned.key.columns).length > 0)
  const fetched = new Set(config.toast === 'fetch' ? keyed.map(({ lines }) => lines) : [])
  return new RecordLines({
    setup: recordSetupOf(phase, streams, joined),
    streams: new Map(streams.map(({ lines }) => [lines.number, lines])),
    output,
    onUnsaid: (lines, what) => reports.unsaid(lines, what === 'unchanged' && fetched.has(lines) ? 'gone' : what),
    worker: config.line_threads === 1 ? undefined : recordWorker,
  })
}

/** All rows of these streams are to be read. */
export function expectRows({ config }: Phase, records: RecordLines, streams: readonly RunStream[]): void {
  if (hasProcessorForRows(config, availableParallelism())) records.expect(bytesOf(streams))
}

/**
 * Whether a second thread may make lines of rows. A server on the same machine sends rows as fast as one thread makes lines
 * of them: with two processors the second thread would take its one, and what it costs to send rows there is lost. Pure.
 */
export function hasProcessorForRows(
  { line_threads: threads, source }: Pick<AirbyteConfig, 'line_threads' | 'source'>,
  processors: number,
): boolean {
  if (threads !== undefined) return threads > 1
  const isShared = parseConnectionString(source.url).hosts.some(isOnThisMachine)
  return processors > (isShared ? 2 : 1)
}

/** Bytes of these streams' tables as they are on the disk. */
function bytesOf(streams: readonly RunStream[]): number {
  return streams.reduce((sum, { matched }) => sum + matched.facts.table.pages * PAGE_BYTES, 0)
}
