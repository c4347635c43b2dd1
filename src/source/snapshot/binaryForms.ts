import { typeOf } from '../../codec/codecFor.js'
import type { Table } from '../../core/table.js'
import { BINARY_TEXT, binaryFormOf } from '../../postgres/binary/forms.js'
import type { UnitQuery } from './query.js'

/**
 * What the columns of a row are in binary format, by `selectList`; undefined: one that is read is of a type whose binary form we do
 * not read. The server spends a quarter less on a row then, and we do not parse its numbers and times.
 */
export function binaryFormsOf(table: Table, { columns, read, withPlace }: UnitQuery): readonly number[] | undefined {
  const forms: number[] = []
  for (const name of columns) {
    const index = table.columns.findIndex((column) => column.name === name)
    // What is not read is NULL.
    const form = read.has(name) ? binaryFormOf(typeOf(table.codecs[index]!)) : BINARY_TEXT
    if (form === undefined) return undefined
    forms.push(form)
  }
  return withPlace ? [...forms, BINARY_TEXT] : forms
}
