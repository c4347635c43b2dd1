import type { TailraceError } from '../../../core/tailraceError.js'
import type { ServerFacts } from '../../../postgres/catalog/server.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { quoteIdentifier } from '../../../postgres/identifier.js'
import { inspectSlot } from '../../../postgres/slot.js'
import { visibleLsn } from '../../../postgres/visibleLsn.js'
import { connectReadOnly } from '../../../source/doctor/readFacts.js'
import type { AirbyteConfig } from '../config/readConfig.js'
import { databaseFacts } from '../discover/tableFacts.js'
import { estimateMessage, type Message, type StreamDescriptor } from '../protocol/messages.js'
import { METADATA, type RecordFormat } from '../recordFormat.js'
import { type ConfiguredStream, describeStream } from './configuredCatalog.js'
import type { Joined } from './joinPositions.js'
import { type MatchedStream, matchStreams } from './matchStreams.js'
import type { ScanMoment } from './recordTails.js'
import { beginRefresh, goOnWith, type Refresh } from './refreshState.js'
import { resume } from './resume.js'
import { type SavedState, savedOf } from './savedState.js'
import { StreamLines } from './streamLines.js'

/** What transactions that run may be waited for, so that all that is in the WAL is visible. */
const RUNNING_MS = 3000
export const PAGE_BYTES = 8192

/** A stream of the run: its table, and how its records are written. */
export interface RunStream {
  readonly matched: MatchedStream
  readonly lines: StreamLines
}

/** What a run reads, and from where. */
export interface ReadPlan {
  readonly streams: readonly RunStream[]
  readonly refused: readonly { readonly descriptor: StreamDescriptor; readonly error: TailraceError }[]
  /** Where the incremental streams go on; undefined: all of them begin. */
  readonly joined: Joined | undefined
  /** Were captured and are not wanted any more. */
  readonly removed: readonly StreamDescriptor[]
  /** Rows that are read count as newer than any change that an earlier run can have written. */
  readonly scan: ScanMoment
  readonly warnings: readonly string[]
  /** What the full refreshes that can be gone on with have read, by number of the stream. */
  readonly refreshes: ReadonlyMap<number, Refresh>
  /** Of what is read from its beginning. */
  readonly estimates: readonly Message[]
}

/** Finds the tables, and where each stream goes on. */
export async function planRead(
  config: AirbyteConfig,
  wanted: readonly ConfiguredStream[],
  state: SavedState,
  signal: AbortSignal,
): Promise<ReadPlan> {
  await using session = await connectReadOnly(parseConnectionString(config.source.url))
  const database = await databaseFacts(session)
  const matched = await matchStreams(session, database, config, wanted)
  const ofMode = (mode: string) => matched.streams.filter(({ stream }) => stream.mode === mode)
  const { confirmedFlushLsn: confirmed } = (await inspectSlot(session, config.slot_name)) ?? {}
  const resumed = resume(state, ofMode('incremental'), {
    server: database.server,
    slot: config.slot_name,
    confirmed,
    resync: config.on_lost_position === 'resync',
  })
  const tooOld = resumed.refused.map(({ stream, error }) => ({ descriptor: stream.stream.descriptor, error }))
  const streams = [...resumed.streams, ...ofMode('full_refresh')]
  const { lsn } = await visibleLsn(session, RUNNING_MS, signal)
  const numbered = streams.map((one, index) => ({ matched: one, lines: new StreamLines(one.stream, index) }))
  const refreshes = refreshesOf(numbered, state, database.server)
  return {
    streams: numbered,
    refreshes,
    refused: [...matched.refused, ...tooOld],
    joined: resumed.joined,
    removed: resumed.removed,
    scan: { lsn: lsn - 1n, time: Date.now() },
    warnings: [
      ...resumed.warnings,
      ...numbered.flatMap((one) => twiceThere(one, refreshes)),
      ...streams.flatMap((one) => columnsThatDiffer(one, config.record_format)),
    ],
    estimates: streams.flatMap((one) => estimate(one, resumed.joined)),
  }
}

/** Without a key nobody could tell which versions are of one row. */
function refreshesOf(
  streams: readonly RunStream[],
  { refreshes }: SavedState,
  server: ServerFacts,
): ReadonlyMap<number, Refresh> {
  const resumable = streams.filter(({ matched: { stream, facts } }) => {
    return stream.mode === 'full_refresh' && (stream.key ?? facts.planned.key.columns).length > 0
  })
  const of = ({ sync, descriptor }: ConfiguredStream) => {
    const begin = beginRefresh(server, sync ?? { sync: undefined, generation: undefined })
    return goOnWith(savedOf(refreshes, descriptor)?.refresh, begin)
  }
  return new Map(resumable.map(({ matched: { stream }, lines }) => [lines.number, of(stream)]))
}

/** Destinations that put each record beside the others. */
const KEEP_ALL: readonly unknown[] = ['append', 'overwrite']

/**
 * It goes on all the same: a client that gives the state back has kept the rows from before it, and would have all of them
 * twice.
 */
function twiceThere({ matched: { stream }, lines }: RunStream, refreshes: ReadonlyMap<number, Refresh>): string[] {
  const { destination, descriptor } = stream
  const goesOn = (refreshes.get(lines.number)?.read.size ?? 0) > 0
  if (!goesOn || !KEEP_ALL.includes(destination)) return []
  const what = 'goes on with its full refresh: rows that were changed since the last attempt come again, and with'
  return [`${describeStream(descriptor)} ${what} destination_sync_mode ${destination} both versions stay`]
}

/** What is in the catalog's schema and not in the table, and the other way round where it matters. */
function columnsThatDiffer({ stream, facts }: MatchedStream, format: RecordFormat): string[] {
  const { descriptor, fields, key } = stream
  const isOurs = (name: string) => Object.hasOwn(METADATA[format], name)
  const columns = facts.table.columns.map(({ name }) => name)
  const hidden = columns.filter(isOurs)
  const gone = [...(fields ?? [])].filter((name) => !columns.includes(name) && !isOurs(name))
  const unwritten = (key ?? facts.planned.key.columns).filter((name) => fields?.has(name) === false)
  const warnings: readonly (readonly [string[], (names: string) => string])[] = [
    [hidden, (names) => `its own ${names} is left out: the record has a field of that name (record_format)`],
    [gone, (names) => `the catalog has ${names}, which the table has not: discover it anew`],
    [unwritten, (names) => `${names} of its key is not in the catalog, so that no record tells which row it is of`],
  ]
  return warnings.flatMap(([names, tell]) =>
    names.length === 0 ? [] : [`${describeStream(descriptor)}: ${tell(list(names))}`],
  )
}

function list(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ')
}

function estimate({ stream, facts }: MatchedStream, joined: Joined | undefined): Message[] {
  const { estimatedRows, oid, pages } = facts.table
  const known = joined?.position.origin.captured?.includes(oid) === true
  if (estimatedRows === undefined || (known && stream.mode === 'incremental')) return []
  return [estimateMessage(stream.descriptor, Math.round(estimatedRows), pages * PAGE_BYTES)]
}
