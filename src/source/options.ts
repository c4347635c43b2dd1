import type * as z from 'zod'
import { SETTING_INVALID } from '../core/errors.js'
import type { Position, PositionJson } from '../core/record.js'
import { parseSettings } from '../core/setting.js'
import { type ColumnSelection, parseColumnSelection } from '../postgres/columnSelection.js'
import { type ConnectionOptions, parseConnectionString } from '../postgres/connectionString.js'
import { type Lsn, parseLsn } from '../postgres/lsn.js'
import { parseTablePatterns, type TablePattern } from '../postgres/tablePattern.js'
import { HEARTBEAT_PREFIX } from './heartbeat.js'
import { StreamPosition } from './position.js'
import { sourceSettings } from './settings.js'
import type { PieceReading } from './snapshot/pieces.js'

type Settings = z.input<z.ZodObject<typeof sourceSettings>>

/** What a `PostgresSource` is made of: the settings of docs/settings.md, and what is no setting. */
export type SourceOptions<Tables extends object = Record<string, Record<string, unknown>>> = Readonly<
  Omit<Settings, 'tables'>
> & {
  /** Names, or one comma list of patterns. Those that stand here by name give the records their row types. */
  readonly tables: (keyof Tables & string) | readonly (keyof Tables & string)[] | string | readonly string[]
  /** Where to resume: what a batch's or record's `position` gave (as object, JSON or text). Undefined begins anew. */
  readonly position?: Position | PositionJson | string | undefined
  /** Ends the run: the loop ends without an error, what was not acknowledged comes again. */
  readonly signal?: AbortSignal | undefined
  /**
   * Whether whoever gives back a position has nothing that came behind it: because each position is stored in one
   * transaction with what was made of the records (as `PostgresDestination` does), or all behind it is taken back first.
   *
   * Default: false, it may have got more. Of tables that were still being read then, it is told of every delete, also of
   * rows that it never had, so that none of those stays with it which are gone before they are read again. With `true`
   * exactly what happened to what it has is told, and a consumer that has more keeps such rows for ever.
   */
  readonly positionWithData?: boolean | undefined
  /**
   * An empty batch comes first with the place where the run begins, and is not waited for: for consumers whose positions
   * stand between the records, in their order. Others get one where nothing is recorded yet of rows to be read, and rows
   * when it was acknowledged. Default: false.
   */
  readonly startBatch?: boolean | undefined
  /** @internal */
  readonly host?: HostNeeds | undefined
  /** @internal */
  readonly pieces?: PieceReading | undefined
}

/** @internal What a host needs that stores a position with each record, and can store none without. */
export interface HostNeeds {
  /** Who the publications are made for, besides the slot: stands in their comment. */
  readonly owner: string
  /** Rows of a snapshot may come in binary format (`CopyLines.forms`): it makes what it wants of them without a look at their text. */
  readonly takesBinary: boolean
  /** All rows are to be read, of which there are so many, about: told long before the first one comes. */
  readonly onRowsToRead?: ((estimatedRows: number) => void) | undefined
}

/** The same, checked and read: everything that can be known without a network. */
export interface ParsedOptions
  extends z.output<z.ZodObject<Omit<typeof sourceSettings, 'until' | 'columns' | 'keys' | 'cursors'>>> {
  readonly connection: ConnectionOptions
  readonly replication: ConnectionOptions
  readonly include: readonly TablePattern[]
  readonly excluded: readonly TablePattern[]
  readonly columns: readonly ColumnSelection[]
  readonly keys: readonly ColumnSelection[]
  readonly cursors: readonly ColumnSelection[]
  readonly until: 'current' | Lsn | undefined
  readonly position: StreamPosition | undefined
  readonly signal: AbortSignal | undefined
  readonly positionWithData: boolean
  readonly startBatch: boolean
  readonly host: HostNeeds | undefined
  readonly pieces: PieceReading | undefined
  readonly wantsMessage: (prefix: string) => boolean
}

export function parseOptions(options: SourceOptions<never>): ParsedOptions {
  const { position, signal, positionWithData = false, startBatch = false, host, pieces, ...given } = options
  // `undefined` means the default.
  const input = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const { until, columns, keys, cursors, ...settings } = parseSettings(sourceSettings, input)
  const connection = parseConnectionString(settings.url)
  const slot = settings.slot
  if (slot !== undefined && !/^[a-z0-9_]{1,63}$/.test(slot)) {
    const problem = 'slot names have lower case letters, digits and underscores, 63 at most'
    throw SETTING_INVALID({ name: 'slot', value: slot, problem })
  }
  if (settings.snapshot === 'only' && slot !== undefined) {
    throw SETTING_INVALID({ name: 'slot', value: slot, problem: 'with snapshot: "only" no slot is made' })
  }
  if (settings.onWalBudget === 'stop' && settings.walBudgetBytes === undefined) {
    throw SETTING_INVALID({ name: 'onWalBudget', value: 'stop', problem: 'it needs walBudgetBytes to stop at' })
  }
  const { messages, cdcMode } = settings
  if (cdcMode === 'long_polling') refuseWhatPollingLacks(settings, until)
  return {
    ...settings,
    connection,
    replication: settings.replicationUrl === undefined ? connection : parseConnectionString(settings.replicationUrl),
    include: parseTablePatterns(settings.tables),
    excluded: settings.exclude === undefined ? [] : parseTablePatterns(settings.exclude),
    columns: parseSelections(columns),
    keys: parseSelections(keys),
    cursors: parseSelections(cursors),
    until: parseUntil(until),
    position: position === undefined ? undefined : StreamPosition.parse(position),
    signal,
    positionWithData,
    startBatch,
    host,
    pieces,
    wantsMessage: (prefix) =>
      prefix !== HEARTBEAT_PREFIX && (typeof messages === 'boolean' ? messages : prefix.startsWith(messages)),
  }
}

function refuseWhatPollingLacks(
  { slot, messages }: Pick<Settings, 'slot' | 'messages'>,
  until: string | undefined,
): void {
  const refuse = (name: string, value: unknown, problem: string) => {
    throw SETTING_INVALID({ name, value, problem: `with cdcMode: "long_polling" ${problem}` })
  }
  if (slot !== undefined) refuse('slot', slot, 'there is no slot: only the position (--state) holds the place')
  if (messages !== undefined && messages !== false) refuse('messages', messages, 'logical messages are not seen')
  if (until !== undefined && until !== 'current') refuse('until', until, 'it can be "current" only')
}

function parseSelections(
  selections: readonly string[] | Readonly<Record<string, string | readonly string[]>>,
): readonly ColumnSelection[] {
  if (Array.isArray(selections)) return selections.map(parseColumnSelection)
  return Object.entries(selections).map(([table, columns]) => {
    // A column's name stands for itself here, whatever characters it has.
    const quoted = [columns].flat().map((column) => `"${column.replaceAll('"', '""')}"`)
    return parseColumnSelection(`${table}:${quoted.join(',')}`)
  })
}

function parseUntil(until: string | undefined): ParsedOptions['until'] {
  if (until === undefined || until === 'current') return until
  const lsn = parseLsn(until)
  if (lsn === undefined) {
    throw SETTING_INVALID({
      name: 'until',
      value: until,
      problem: 'it is neither "current" nor an LSN such as 0/16B3748',
    })
  }
  return lsn
}
