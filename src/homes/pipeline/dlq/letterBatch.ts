import { encodeNdjson } from '../../../codec/ndjson.js'
import { DEAD_LETTER_FORMAT } from '../../../core/deadLetterErrors.js'
import { VALUE_MALFORMED } from '../../../core/errors.js'
import { PAYLOAD_INVALID } from '../../../core/payloadErrors.js'
import type { RowBatch } from '../../../core/rowBatch.js'
import { sqlName } from '../../../postgres/identifier.js'
import { type LetterRecord, parseLetterRecord } from '../../../sinks/deadLetters/letterRecord.js'
import { letterRows } from '../../../sinks/deadLetters/letterRows.js'
import { Batch } from '../../../source/batch.js'
import type { SourceOptions } from '../../../source/options.js'
import { StreamPosition } from '../../../source/position.js'
import type { SourceLook } from './sourceLook.js'

/** Formats that write a value as its type says, which a letter does not tell. */
const BY_TYPE: ReadonlySet<string> = new Set(['debezium'])

/** What is not told of a batch that comes from no stream. */
const NOWHERE = StreamPosition.parse({
  ...{
    version: 1,
    system: '0',
    timeline: 0,
    database: '',
    slot: null,
    epoch: 0,
    lsn: '0/0',
    seq: -1,
    sub: 0,
    end: '0/0',
  },
})

export interface LetterBatchOptions {
  /** Undefined: the source cannot be asked. */
  readonly look: SourceLook | undefined
  readonly source: SourceOptions
  /** What the sink writes. */
  readonly format: string | undefined
}

/**
 * The record of a letter as a batch of its own, which a sink writes as it would have written the first. With the types of the source's
 * table, where that makes the record as it is in the letter again; else its values stay the JSON that they are. Throws
 * DEAD_LETTER_NOT_A_ROW, DEAD_LETTER_FORMAT.
 */
export async function letterBatch(text: string, { look, source, format }: LetterBatchOptions): Promise<Batch> {
  const record = parseLetterRecord(text)
  const rows = (look && (await typedRows(text, record, look, source))) ?? untypedRows(record, format)
  return new Batch(rows, NOWHERE, () => {})
}

async function typedRows(
  text: string,
  record: LetterRecord,
  look: SourceLook,
  codecs: SourceOptions,
): Promise<RowBatch | undefined> {
  const known = await look.table(record)
  if (known === undefined) return undefined
  const { facts, types } = known
  const { key, before, after } = record
  const names = [key, before, after].flatMap((values) => [...(values?.keys() ?? [])])
  if (names.some((name) => !facts.columns.has(name))) return undefined
  const columnOf = (name: string) => {
    const column = facts.columns.get(name)
    return column && { column: { ...column, typmod: -1 }, type: types.get(column.typeOid) }
  }
  try {
    const options = { oid: facts.oid, columnOf, codecs, columns: [...facts.columns.keys()] }
    const { rows } = letterRows(record, options)
    return encodeNdjson(rows).toString().trimEnd() === text ? rows : undefined
  } catch (error) {
    if (PAYLOAD_INVALID.is(error) || VALUE_MALFORMED.is(error)) return undefined
    throw error
  }
}

function untypedRows(record: LetterRecord, format: string | undefined): RowBatch {
  if (format !== undefined && BY_TYPE.has(format)) {
    const table = sqlName({ schema: record.schema, name: record.table })
    throw DEAD_LETTER_FORMAT({ id: record.id, table, format })
  }
  return letterRows(record, { oid: 0, columnOf: () => undefined }).rows
}
