import { type CodecOptions, codecFor } from '../../codec/codecFor.js'
import { FORM_OTHER, FORM_TEXT } from '../../codec/json/form.js'
import { writeJsonString } from '../../codec/json/text.js'
import { jsonText } from '../../codec/payload/jsonRow.js'
import { textTarget } from '../../codec/text/target.js'
import { readText } from '../../codec/value/text.js'
import { HEAD_OLD, HEAD_SEQ, HEAD_SUB, HEAD_TRANSACTION, OLD_ROW, type RowBatch } from '../../core/rowBatch.js'
import { type Column, type ColumnCodec, Table } from '../../core/table.js'
import { type Layout, NO_VALUE, TextBatch, UNSENT } from '../../destination/textBatch.js'
import type { PgType } from '../../postgres/catalog/types.js'
import type { LetterRecord, LetterValues } from './letterRecord.js'

/** A column of a table that is written to, or read from. */
export interface LetterColumn {
  readonly column: Column
  /** Undefined: not known. Values stay the JSON that they are in the letter. */
  readonly type: PgType | undefined
}

/** What is known of the columns; undefined: nothing of this one. */
export type ColumnOf = (name: string) => LetterColumn | undefined

export interface LetterTable {
  readonly oid: number
  readonly columnOf: ColumnOf
  /** All columns in their order, where the batch is to have also those that the letter says nothing of. */
  readonly columns?: readonly string[]
  readonly codecs?: CodecOptions
}

/** The id of a change: the LSN of its commit, which may have no other digits than decimal ones, its seq and its sub. */
const PLACE = /^[0-9A-F]+\/[0-9A-F]+\/(-?\d+)(?:\/(\d+))?$/
/** Of one row. */
const CHUNK_BYTES = 4096
const JSON_AS_IT_IS: ColumnCodec = {
  form: FORM_OTHER,
  writeJson: (writer, bytes, start, end) => writer.write(bytes.subarray(start, end)),
  readValue: readText,
}
const STRING: ColumnCodec = { form: FORM_TEXT, writeJson: writeJsonString, readValue: readText }
const NOTHING: LetterValues = new Map()

/** The record of a letter as a batch of one, in texts of the columns' types. Throws PAYLOAD_INVALID. */
export function letterRows(
  record: LetterRecord,
  found: LetterTable,
): { readonly rows: RowBatch; readonly table: Table } {
  const { operation, key = NOTHING, oldKey, before, after, unchanged } = record
  const names = new Set([...(found.columns ?? []), ...(after ?? before ?? NOTHING).keys(), ...unchanged, ...key.keys()])
  const columns = [...names]
  const isWhole = before !== undefined
  const jsonOf = (name: string) => after?.get(name) ?? before?.get(name) ?? key.get(name)
  const table = new Table({
    oid: found.oid,
    schema: record.schema,
    name: record.table,
    columns: columns.map((name) => found.columnOf(name)?.column ?? unknownColumn(name)),
    codecs: columns.map((name) => codecOf(found, name, jsonOf(name))),
    selected: selectedOf(record, columns),
    key: [...key.keys()].map((name) => columns.indexOf(name)),
    replicaIdentity: isWhole ? 'full' : 'default',
  })
  const batch = new TextBatch(CHUNK_BYTES)
  const { rows } = batch
  const places = new Map<string, number>()
  /** Gives the texts of `values`; the layout of a row that has these and no others. */
  const give = (values: LetterValues, unsent: readonly string[] = []): Layout => {
    places.clear()
    for (const [name, json] of values) {
      places.set(name, batch.given)
      const text = textOf(found, name, json)
      if (text === null) batch.none()
      else batch.text(text)
    }
    return columns.map((name) => places.get(name) ?? (unsent.includes(name) ? UNSENT : NO_VALUE))
  }
  enterTransaction(rows, record)
  if (operation === 'truncate') {
    batch.truncate(table, '')
    rows.heads[HEAD_TRANSACTION] = 1
  } else if (operation === 'delete') batch.delete(table, give(before ?? key))
  else {
    const row = give(after!, unchanged)
    // A row that has no key is told by its place, which stands behind its columns.
    const layout = key.size > 0 || operation !== 'snapshot' ? row : [...row, placeOf(batch, record)]
    const old = before ?? oldKey
    batch.add(operation, table, layout, old && give(old))
  }
  const { heads } = rows
  if (isWhole && operation !== 'truncate') heads[HEAD_OLD] = (heads[HEAD_OLD]! & ~3) | OLD_ROW
  const [, seq, sub] = PLACE.exec(record.id) ?? []
  heads[HEAD_SEQ] = record.seq >= 0 ? record.seq : Number(seq ?? 0)
  heads[HEAD_SUB] = Number(sub ?? 0)
  return { rows, table }
}

/** So that the batch's records have the id that the letter has. */
function enterTransaction(rows: RowBatch, { operation, schema, table, id, lsn, xid, commitTime }: LetterRecord): void {
  const [prefix = ''] = id.split(`/${schema}.${table}/`)
  if (operation === 'snapshot') {
    rows.snapshotId = prefix
    return
  }
  const polledXid = lsn === undefined && /^\d+$/.test(prefix) && { polledXid: Number(prefix) }
  rows.transactions[0] = { xid, commitLsn: lsn ?? 0n, commitTime, ...polledXid }
  rows.transactions[1] = rows.transactions[0]
}

function placeOf(batch: TextBatch, { id }: LetterRecord): number {
  const at = batch.given
  batch.text(id.slice(id.lastIndexOf('/') + 1))
  return at
}

/** The columns that the records' readers see: of a delete without its row those of the key, and what stands beside them. */
function selectedOf({ after, before, unchanged }: LetterRecord, columns: readonly string[]): number[] {
  const row = after ?? before
  const seen = (name: string) => row === undefined || row.has(name) || unchanged.includes(name)
  return columns.map((_, index) => index).filter((index) => seen(columns[index]!))
}

function textOf({ columnOf }: LetterTable, name: string, json: string): string | null {
  const type = columnOf(name)?.type
  if (type === undefined) return json === 'null' ? null : json.startsWith('"') ? JSON.parse(json) : json
  const text = jsonText(json, textTarget(type, { verbatim: true }), name)
  // As the server prints it in UTC; these are to_json's.
  const isTime = type.kind === 'scalar' && /^timestamp/.test(type.name)
  return isTime && text !== null ? text.replace('T', ' ').replace('+00:00', '+00') : text
}

function codecOf({ columnOf, codecs }: LetterTable, name: string, json: string | undefined): ColumnCodec {
  const type = columnOf(name)?.type
  if (type !== undefined) return codecFor(type, codecs)
  return json?.startsWith('"') ? STRING : JSON_AS_IT_IS
}

function unknownColumn(name: string): Column {
  return { name, typeOid: 0, typmod: -1, typeName: 'unknown', notNull: false, generated: false }
}
