import { encodeNdjson } from '../../codec/ndjson.js'
import type { RowView } from '../../core/record.js'
import type { DeadLetterRow } from '../../destination/deadLetters.js'
import { serverText } from '../../destination/failure.js'
import { sqlName } from '../../postgres/identifier.js'
import { sqlstateOf } from '../../postgres/serverError.js'
import type { Batch } from '../../source/batch.js'

/** A record that a sink rejected, with the reason. */
export function deadLetterOf(batch: Batch, index: number, cause: Error): DeadLetterRow {
  const { id, table } = batch.at(index)!
  return {
    id,
    target: table === undefined ? '' : sqlName(table),
    sqlstate: sqlstateOf(cause),
    problem: serverText(cause),
    record: lineOf(batch, index) ?? textsOf(batch, index),
  }
}

function lineOf(batch: Batch, index: number): string | undefined {
  try {
    return encodeNdjson(batch.rows, index, index + 1)
      .toString()
      .trimEnd()
  } catch {
    return undefined
  }
}

/** Of a record that has no line since a value cannot be read: each value as the server sent it. */
function textsOf(batch: Batch, index: number): string {
  const { operation, table, id, ...record } = fieldsOf(batch.at(index)!)
  const texts = (row: RowView | undefined) =>
    row &&
    Object.fromEntries(
      table!.selected.map((column) => table!.columns[column]!.name).map((name) => [name, row.text(name)]),
    )
  const { schema, name } = table ?? {}
  return JSON.stringify({
    ...{ operation, schema, table: name, beforeText: texts(record.before), afterText: texts(record.after), id },
  })
}

function fieldsOf(record: ReturnType<Batch['at']> & object) {
  return {
    operation: record.operation,
    table: record.table,
    id: record.id,
    before: 'before' in record ? record.before : undefined,
    after: 'after' in record ? record.after : undefined,
  }
}
