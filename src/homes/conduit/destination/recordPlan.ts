import { type Layout, NO_VALUE, UNSENT } from '../../../destination/textBatch.js'
import type { Part } from './parts.js'
import { keyColumnsOf } from './recordKey.js'
import type { RowShape, TargetEntry } from './targetTables.js'

/** How records whose parts have the same columns are written. */
export interface RecordPlan {
  readonly shape: RowShape
  readonly key: readonly string[]
  /** Of the texts of the parts, one behind the other. */
  readonly layout: Layout
  /** Where the key's columns stand there. */
  readonly keyPlaces: readonly number[]
  /** Of an update that tells of the row before: the same of that one's key. */
  readonly oldLayout: Layout | undefined
  readonly oldKeyPlaces: readonly number[]
}

/** The parts of a record, of which `row` is what is written: after, or before a delete. */
export interface Parts {
  readonly key: Part | undefined
  readonly row: Part | undefined
  readonly before: Part | undefined
  /** Columns that an update left as they were, as JSON. */
  readonly unchanged: string | undefined
}

/** The plan of a row that is written; made once for records that are alike. Throws what is missing for it. */
export function planRow(entry: TargetEntry, parts: Parts, operation: string): RecordPlan {
  const { key, row, before, unchanged } = parts
  const id = `${operation === 'update' ? 'u' : 'c'}|${signature(key)}|${signature(row)}|${signature(before)}|${unchanged ?? ''}`
  const known = entry.plans.get(id) as RecordPlan | undefined
  if (known !== undefined) return known
  const places = placesOf(key, row)
  const keyColumns = keyColumnsOf(entry, key, row, operation)
  const columns = new Set(places.keys())
  if (keyColumns.length > 0) for (const column of namesIn(unchanged)) columns.add(column)
  const shape = entry.shape(columns, keyColumns)
  const offset = (key?.texts.length ?? 0) + (row?.texts.length ?? 0)
  const old = before === undefined ? undefined : placesOf(before, undefined, offset)
  const oldKeyPlaces = keyColumns.map((column) => old?.get(column))
  const tellsOldKey = keyColumns.length > 0 && oldKeyPlaces.every((place) => place !== undefined)
  const plan: RecordPlan = {
    shape,
    key: keyColumns,
    layout: shape.table.columns.map(({ name }) => places.get(name) ?? UNSENT),
    keyPlaces: keyColumns.map((column) => places.get(column)!),
    oldLayout: tellsOldKey ? keyLayout(shape, keyColumns, (column) => old!.get(column)!) : undefined,
    oldKeyPlaces: tellsOldKey ? (oldKeyPlaces as number[]) : [],
  }
  entry.plans.set(id, plan)
  return plan
}

/** The same of a row that is deleted: written with the shape of rows, where one was written. */
export function planDelete(entry: TargetEntry, { key, row }: Pick<Parts, 'key' | 'row'>): RecordPlan {
  const last = entry.lastShape
  const id = `d|${signature(key)}|${signature(row)}|${last?.number ?? ''}`
  const known = entry.plans.get(id) as RecordPlan | undefined
  if (known !== undefined) return known
  const places = placesOf(key, row)
  const keyColumns = keyColumnsOf(entry, key, row, 'delete')
  const fits = last !== undefined && isSame(last.key, keyColumns)
  const shape = fits ? last : entry.shape(new Set(keyColumns), keyColumns)
  const plan: RecordPlan = {
    shape,
    key: keyColumns,
    layout: keyLayout(shape, keyColumns, (column) => places.get(column)!),
    keyPlaces: keyColumns.map((column) => places.get(column)!),
    oldLayout: undefined,
    oldKeyPlaces: [],
  }
  entry.plans.set(id, plan)
  return plan
}

/** Where the text of each column stands; what is in the key counts before what is in the row. */
function placesOf(first: Part | undefined, second: Part | undefined, offset = 0): Map<string, number> {
  const places = new Map<string, number>()
  const add = (part: Part | undefined, from: number) => {
    for (const [i, column] of part?.columns.entries() ?? []) if (!places.has(column)) places.set(column, from + i)
  }
  add(first, offset)
  add(second, offset + (first?.texts.length ?? 0))
  return places
}

function keyLayout(shape: RowShape, key: readonly string[], placeOf: (column: string) => number): Layout {
  return shape.table.columns.map(({ name }) => (key.includes(name) ? placeOf(name) : NO_VALUE))
}

function namesIn(unchanged: string | undefined): string[] {
  if (unchanged === undefined) return []
  try {
    const names: unknown = JSON.parse(unchanged)
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
  } catch {
    // Somebody else's metadata.
    return []
  }
}

function signature(part: Part | undefined): string {
  return part?.signature ?? '-'
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i])
}
