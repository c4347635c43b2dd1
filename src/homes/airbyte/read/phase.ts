import type { Table } from '../../../core/table.js'
import { quoteQualified } from '../../../postgres/identifier.js'
import type { SourceEvent } from '../../../source/events.js'
import type { AirbyteConfig } from '../config/readConfig.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { Checkpoints } from './checkpoints.js'
import type { ConfiguredStream } from './configuredCatalog.js'
import type { Joined } from './joinPositions.js'
import type { ReadPlan, RunStream } from './plan.js'
import { RecordWriter } from './recordWriter.js'
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
}

export function streamsOf({ plan }: Phase, mode: ConfiguredStream['mode']): readonly RunStream[] {
  return plan.streams.filter(({ matched }) => matched.stream.mode === mode)
}

/** Writes the records of these streams, which go on from `joined`. */
export function recordsOf(
  { config, plan, reports }: Phase,
  streams: readonly RunStream[],
  joined: Joined | undefined,
): RecordWriter {
  const byOid = new Map(streams.map(({ matched, lines }) => [matched.facts.table.oid, lines]))
  const byName = new Map(
    streams.map(({ matched: { facts }, lines }) => [quoteQualified(facts.table.schema, facts.table.name), lines]),
  )
  return new RecordWriter({
    format: config.record_format,
    scan: plan.scan,
    // Made anew under its name it is another table of the same stream.
    streamOf: ({ oid, schema, name }: Table) => byOid.get(oid) ?? byName.get(quoteQualified(schema, name)),
    ahead: joined?.ahead ?? new Map(),
    onUnsaid: (lines, what) => reports.unsaid(lines, what),
  })
}
