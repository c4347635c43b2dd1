import { ADDED_COLUMN_TAKEN } from '../core/destinationErrors.js'
import type { Table } from '../core/table.js'
import { quoteIdentifier, sqlName } from '../postgres/identifier.js'

/** A column that only the target has, and that we write. */
interface AddedColumn {
  readonly name: string
  /** As SQL of the target. */
  readonly type: string
}

/** What becomes of the source's changes at the target. */
export type Mode =
  | { readonly kind: 'mirror' }
  /** A row that is deleted stays, and is marked. */
  | { readonly kind: 'soft'; readonly added: readonly [marker: AddedColumn] }
  /** Every change is a row of its own, with these columns behind those of the source. */
  | { readonly kind: 'history'; readonly added: readonly AddedColumn[] }

export function modeOf(settings: {
  readonly mode: 'mirror' | 'history'
  readonly delete: 'hard' | 'soft'
  readonly deletedColumn: string
  readonly historyPrefix: string
}): Mode {
  if (settings.mode === 'history') {
    const prefixed = ([name, type]: readonly [string, string]) => ({ name: settings.historyPrefix + name, type })
    return { kind: 'history', added: HISTORY_COLUMNS.map(prefixed) }
  }
  if (settings.delete === 'hard') return { kind: 'mirror' }
  return { kind: 'soft', added: [{ name: settings.deletedColumn, type: 'pg_catalog.timestamptz' }] }
}

/** In the order in which `stageHistory` writes them. */
const HISTORY_COLUMNS = [
  ['id', 'pg_catalog.text'],
  ['operation', 'pg_catalog.text'],
  ['committed_at', 'pg_catalog.timestamptz'],
  ['old_key', 'pg_catalog.json'],
  ['unchanged', 'pg_catalog.text[]'],
] as const

export function addedColumns(mode: Mode): readonly AddedColumn[] {
  return mode.kind === 'mirror' ? [] : mode.added
}

/** That none of the source's columns is called like one that is added. */
export function requireFree(table: Table, mode: Mode): void {
  const taken = addedColumns(mode).find(({ name }) => table.columns.some((column) => column.name === name))
  if (taken === undefined) return
  throw ADDED_COLUMN_TAKEN({
    source: sqlName(table),
    column: quoteIdentifier(taken.name),
    setting: mode.kind === 'soft' ? 'deletedColumn' : 'historyPrefix',
  })
}
