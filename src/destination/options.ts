import type * as z from 'zod'
import { SETTING_INVALID } from '../core/errors.js'
import { parseSettings } from '../core/setting.js'
import { type ColumnSelection, parseColumnSelection } from '../postgres/columnSelection.js'
import { type ConnectionOptions, parseConnectionString } from '../postgres/connectionString.js'
import type { QualifiedName } from '../postgres/identifier.js'
import type { KeyEvent } from './keyEvent.js'
import { type Mode, modeOf } from './modes.js'
import { destinationSettings } from './settings.js'
import { parseTemplate } from './template.js'

/** What a `PostgresDestination` is made of: the settings of docs/settings.md, and what is no setting. */
export type DestinationOptions = Readonly<z.input<z.ZodObject<typeof destinationSettings>>> & {
  /** Ends waiting and retries: what runs then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Hears of keys that take more than a second to build, behind the first copy of a table that was made (`autoCreate`). */
  readonly onKey?: ((event: KeyEvent) => void) | undefined
}

/** The same, checked and read. */
export interface ParsedDestination
  extends Omit<
    z.output<z.ZodObject<typeof destinationSettings>>,
    'table' | 'keys' | 'url' | 'mode' | 'delete' | 'deletedColumn' | 'historyPrefix'
  > {
  readonly connection: ConnectionOptions
  readonly targetOf: (table: QualifiedName) => QualifiedName
  readonly keys: readonly ColumnSelection[]
  readonly mode: Mode
  readonly signal: AbortSignal | undefined
  readonly onKey: ((event: KeyEvent) => void) | undefined
}

export function parseDestination(options: DestinationOptions): ParsedDestination {
  const { signal, onKey, ...given } = options
  // `undefined` means the default.
  const input = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const parsed = parseSettings(destinationSettings, input)
  const { url, table, keys, mode, delete: deletes, deletedColumn, historyPrefix, ...settings } = parsed
  if (mode === 'history' && deletes === 'soft') {
    const problem = 'with mode: history a delete is a row of its own, and nothing is marked'
    throw SETTING_INVALID({ name: 'delete', value: deletes, problem })
  }
  return {
    ...settings,
    connection: parseConnectionString(url),
    targetOf: parseTemplate(table),
    keys: keys.map(parseColumnSelection),
    mode: modeOf({ mode, delete: deletes, deletedColumn, historyPrefix }),
    signal,
    onKey,
  }
}
