import { codecFor } from '../../../src/codec/codecFor.js'
import { RowBatch } from '../../../src/core/rowBatch.js'
import { Table } from '../../../src/core/table.js'
import type { PgType } from '../../../src/postgres/catalog/types.js'
import { readCopyRow } from '../../../src/postgres/copy/row.js'
import { Batch } from '../../../src/source/batch.js'
import { StreamPosition } from '../../../src/source/position.js'
import { PASSED } from '../../../src/source/scan/stretches.js'
import { builtin } from '../codecTypes.js'

export const ORIGIN = { system: '7710974990324191594', timeline: 1, database: 'shop', slot: 'shop', epoch: 5 }
/** numeric(10,2) */
const DECLARED = ((10 << 16) | 2) + 4

export type Row = readonly (string | null)[]

/** A key of text, and columns of these types. */
export function tableOf(types: readonly PgType[]): Table {
  const all = [builtin('text'), ...types]
  return new Table({
    oid: 1,
    schema: 'public',
    name: 'files',
    columns: all.map((type, index) => ({
      name: index === 0 ? 'id' : `c${index}`,
      typeOid: type.oid,
      typmod: type === builtin('numeric') ? DECLARED : -1,
      typeName: type.name,
      notNull: index === 0,
      generated: false,
    })),
    codecs: all.map((type) => codecFor(type)),
    selected: all.map((_, index) => index),
    key: [0],
    replicaIdentity: 'default',
  })
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
const copyText = (value: string | null) =>
  value === null ? '\\N' : value.replace(/[\\\b\t\n\r]/g, (one) => ESCAPES[one]!)

/** Rows as a snapshot brings them, in ranges of the key or read whole, behind `before` others. */
export function batchOf(table: Table, rows: readonly Row[], before: number, ranges: boolean, onRead = () => {}): Batch {
  const lines = rows.map((row) => Buffer.from(`${row.map(copyText).join('\t')}\n`))
  let end = 0
  const ends = Int32Array.from(lines, ({ length }) => (end += length))
  const bytes = Buffer.concat(lines)
  const columns = table.columns.length
  const one = { table: 0, bytes, ends, columns, read: readCopyRow, onRead }
  const batch = RowBatch.ofLines([one], [table], '0/1', false)
  const own = { oid: 1, id: '0/1', schema: 'public', name: 'files', key: ['id'], again: false, where: undefined }
  const stretches = [{ to: undefined, read: undefined }]
  const progress = (count: number) => ({
    id: '0/1',
    rows: count,
    tables: [{ ...own, stretches, begun: true, overtaken: [], apart: [] }],
  })
  const keyOf = (index: number) => [rows[index]![0]!]
  const stretch = ranges ? ({ oid: 1, index: 0, read: PASSED, keyOf, columns: [0] } as const) : undefined
  const snapshotAt = Object.assign((index: number) => progress(before + index + 1), {
    steps: { base: progress(before), stretch },
  })
  const place = { lsn: 1n, seq: -1, sub: 0, end: undefined, fingerprint: 0, snapshot: progress(before + rows.length) }
  return new Batch(batch, new StreamPosition(ORIGIN, place), () => {}, { snapshotAt })
}
