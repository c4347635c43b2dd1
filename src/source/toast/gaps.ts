import {
  CREATE,
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  NO_OLD,
  OLD_ROW,
  type RowBatch,
  TRUNCATE,
  UPDATE,
} from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { UNCHANGED_COLUMN } from '../../core/tape.js'

/** A value somewhere in bytes that stay as they are; `start` may be NULL_COLUMN. */
export interface Found {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** A row to be read from its table, for one or more gaps. */
export interface Request {
  /** Index into the batch's tables. */
  readonly table: number
  /** Text of the key's columns, in key order, as bytes (latin1): the row's last one in the batch. */
  key: readonly string[]
  /** The columns that are asked for. */
  readonly columns: Set<number>
  /** By column. Empty: there is no such row. Undefined: not asked yet. */
  answers: Map<number, Found> | undefined
}

/** An unchanged column of a record that its bytes do not have. */
export interface Gap {
  readonly record: number
  readonly column: number
  /** Where the value is: in the batch already, */
  readonly found: Found | undefined
  /** or to be read. Of both at most one: the row's key may not be known. */
  readonly request: Request | undefined
}

/** The columns, by table index, that are missing somewhere in the batch; undefined when nothing is. Pays a look a column. */
export function missingColumns(rows: RowBatch): Map<number, number[]> | undefined {
  // Rows of a snapshot have all they have.
  if (rows.areLines) return undefined
  const { heads, count, tables, tape } = rows
  let missing: Map<number, number[]> | undefined
  for (let head = 0; head < count * HEAD; head += HEAD) {
    const operation = heads[head + HEAD_OPERATION]!
    if (operation !== UPDATE && operation !== CREATE) continue
    const index = heads[head + HEAD_TABLE]!
    const table = tables[index]!
    if (hasOldRow(table, heads[head + HEAD_OLD]!)) continue
    const newAt = heads[head + HEAD_NEW]!
    for (const column of table.selected) {
      if (tape.values[newAt + 2 * column] !== UNCHANGED_COLUMN) continue
      missing ??= new Map()
      const columns = missing.get(index) ?? []
      if (!columns.includes(column)) missing.set(index, [...columns, column])
    }
  }
  return missing
}

/** Codecs fill unchanged columns from it. */
function hasOldRow(table: Table, old: number): boolean {
  return (old & 3) === OLD_ROW && table.replicaIdentity === 'full'
}

/** What the batch has told so far of a row. */
interface Row {
  /** By column. */
  readonly values: Map<number, Found>
  request: Request | undefined
}

interface Rows {
  /** Index into the batch's tables: another shape's rows are not ours. */
  readonly table: number
  readonly byKey: Map<string, Row>
}

/**
 * The gaps of a batch in the order of its records, each with where its value is. What an earlier record of the same row
 * carried stands unchanged, so it is exact; only what no record carried is asked for, once a row, by the last key that
 * the row has in the batch.
 */
export function findGaps(batch: RowBatch, missing: ReadonlyMap<number, readonly number[]>): Gap[] {
  const { heads, count, tables, buffers } = batch
  const tape = batch.tape.values
  const gaps: Gap[] = []
  /** By OID. */
  const known = new Map<number, Rows>()
  for (let record = 0; record < count; record++) {
    const head = record * HEAD
    const index = heads[head + HEAD_TABLE]!
    const table = tables[index]
    if (table === undefined) continue
    const columns = missing.get(index)
    if (columns === undefined) {
      // Perhaps another shape of a table that has gaps: what was known before it may have been changed in it.
      known.delete(table.oid)
      continue
    }
    const operation = heads[head + HEAD_OPERATION]!
    let rows = known.get(table.oid)
    if (rows === undefined || rows.table !== index) {
      rows = { table: index, byKey: new Map() }
      known.set(table.oid, rows)
    }
    if (operation === TRUNCATE) rows.byKey.clear()
    if (operation > DELETE) continue
    const bytes = buffers[heads[head + HEAD_BUFFER]!]!
    const newAt = heads[head + HEAD_NEW]!
    const old = heads[head + HEAD_OLD]!
    const oldAt = (old & 3) === NO_OLD ? undefined : old >> 2
    const oldKey = oldAt === undefined ? undefined : keyOf(table, bytes, tape, oldAt)
    if (operation === DELETE) {
      const gone = take(rows, oldKey)
      if (gone?.request !== undefined) gone.request.answers = new Map()
      continue
    }
    const key = keyOf(table, bytes, tape, newAt, oldAt)
    const before = operation === UPDATE ? take(rows, oldKey ?? key) : undefined
    const row = before ?? { values: new Map(), request: undefined }
    if (key !== undefined) rows.byKey.set(joined(key), row)
    if (row.request !== undefined && key !== undefined) row.request.key = key
    const given = hasOldRow(table, old)
    for (const column of columns) {
      const carrier = carrierOf(tape, column, newAt, oldAt)
      if (carrier !== undefined) row.values.set(column, { bytes, start: tape[carrier]!, end: tape[carrier + 1]! })
      if (given || tape[newAt + 2 * column] !== UNCHANGED_COLUMN) continue
      const found = row.values.get(column)
      if (found === undefined && key !== undefined && key.length > 0) {
        row.request ??= { table: index, key, columns: new Set(), answers: undefined }
        row.request.columns.add(column)
      }
      gaps.push({ record, column, found, request: found === undefined ? row.request : undefined })
    }
  }
  return gaps
}

function take({ byKey }: Rows, key: readonly string[] | undefined): Row | undefined {
  if (key === undefined) return undefined
  const text = joined(key)
  const row = byKey.get(text)
  byKey.delete(text)
  return row
}

/**
 * Where on the tape the record has the column's value. A TOASTed value is never NULL, so what an old tuple has of an
 * unchanged column is its value, or nothing (a column outside the replica identity).
 */
function carrierOf(tape: Int32Array, column: number, newAt: number, oldAt: number | undefined): number | undefined {
  const pair = newAt + 2 * column
  if (tape[pair] !== UNCHANGED_COLUMN) return pair
  return oldAt !== undefined && tape[oldAt + 2 * column]! >= 0 ? oldAt + 2 * column : undefined
}

/** The key's text; undefined when it was not sent whole. */
function keyOf(
  { key }: Table,
  bytes: Uint8Array,
  tape: Int32Array,
  at: number,
  fallback?: number,
): readonly string[] | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  for (const column of key) {
    const pair = carrierOf(tape, column, at, fallback)
    if (pair === undefined || tape[pair]! < 0) return undefined
    texts.push(buffer.toString('latin1', tape[pair], tape[pair + 1]))
  }
  return texts
}

function joined(key: readonly string[]): string {
  return key.length === 1 ? key[0]! : key.map((text) => `${text.length}:${text}`).join()
}
