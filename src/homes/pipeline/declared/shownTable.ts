import { typeOf } from '../../../codec/codecFor.js'
import { declaredCodec } from '../../../codec/declared/declaredCodec.js'
import { STREAM_SCHEMA_MISMATCH, VALUE_MISFIT } from '../../../core/pipelineErrors.js'
import { type ColumnCodec, Table } from '../../../core/table.js'
import { quoteIdentifier, sqlName } from '../../../postgres/identifier.js'
import { type DeclaredStream, isOf } from './declaredStream.js'
import { typeMismatch } from './typeMismatch.js'

/**
 * What becomes of a column that cannot be what it was declared as, since it was altered while the pipeline runs, or by a
 * processor: `STREAM_SCHEMA_MISMATCH`, text, or what its type is.
 */
export type Mismatch = 'refuse' | 'text' | 'keep'

/** How text sinks write the values of these streams' tables. */
export function shownTables(streams: readonly DeclaredStream[], mismatch: Mismatch): (table: Table) => Table {
  return (table) => {
    const columns = streams.find((stream) => isOf(stream, table))?.columns
    if (columns === undefined) return table
    const codecs = table.codecs.map((codec, index): ColumnCodec => {
      const { name } = table.columns[index]!
      const declared = columns.find((column) => column.name === name)?.type
      const type = typeOf(codec)
      if (declared === undefined || type === undefined) return codec
      const onMisfit = (problem: string): never => {
        throw VALUE_MISFIT({ table: sqlName(table), column: quoteIdentifier(name), declared, problem })
      }
      const written = declaredCodec(type, declared, onMisfit)
      if (written !== undefined) return written
      if (mismatch === 'keep') return codec
      if (mismatch === 'text') return declaredCodec(type, 'String', onMisfit)!
      throw STREAM_SCHEMA_MISMATCH({ problems: [typeMismatch(table, name, type, declared)] })
    })
    return new Table({ ...table, codecs })
  }
}
