import * as z from 'zod'
import type { CodecOptions } from '../../codec/codecFor.js'
import type { ByteWriter } from '../../core/byteWriter.js'
import { setting } from '../../core/setting.js'
import type { Table } from '../../core/table.js'
import { NULL_COLUMN } from '../../core/tape.js'
import { columnIndex, tableWith, unfit, withColumns } from '../describe.js'
import type { Plan, Processor } from '../processor.js'
import { processorType } from '../processorType.js'
import { stateOf, VALUE } from '../rows/rewrite.js'
import type { Tuple } from '../rows/tuple.js'
import { jsonTextAt } from '../sql/jsonText.js'
import { columnType, textAt } from '../sql/types.js'

/** `type: flatten`. */
export const flattenType = processorType({
  settings: {
    column: setting(z.string().min(1), { description: 'A column of type json or jsonb.', example: 'address' }),
    fields: setting(z.array(z.string().min(1)).min(1), {
      description:
        'What of it becomes columns of their own, of type text: names of its members, with dots where they lie deeper; a number is a place in an array, counted from 0. What is not there is NULL, what is no text is its JSON, digit for digit: cast makes numbers of it.',
      example: '[city, geo.lat, tags.0]',
    }),
    prefix: setting(z.string().optional(), {
      description:
        'What their names begin with; behind it stands the field, with _ for dots. Default: the column’s name and _.',
      example: "''",
    }),
    keep: setting(z.boolean().default(false), { description: 'Keep the column beside them.' }),
  },
  create: ({ column, fields, prefix = `${column}_`, keep }, { name, codecs }) => [
    new FlattenProcessor(
      name,
      column,
      fields.map((field) => ({ name: prefix + field.replaceAll('.', '_'), path: field.split('.') })),
      keep,
      codecs,
    ),
  ],
})

interface Field {
  readonly name: string
  readonly path: readonly string[]
}

class FlattenProcessor implements Processor {
  readonly #name: string
  readonly #column: string
  readonly #fields: readonly Field[]
  readonly #keep: boolean
  readonly #codecs: CodecOptions | undefined

  constructor(name: string, column: string, fields: readonly Field[], keep: boolean, codecs: CodecOptions | undefined) {
    this.#name = name
    this.#column = column
    this.#fields = fields
    this.#keep = keep
    this.#codecs = codecs
  }

  plan(table: Table): Plan {
    const source = columnIndex(this.#name, table, this.#column)
    const type = columnType(table, source)
    if (type !== 'json' && type !== 'jsonb') {
      const { typeName } = table.columns[source]!
      throw unfit(this.#name, table, `"${this.#column}" is ${typeName}, and flatten is for json and jsonb`)
    }
    if (table.key.includes(source) && !this.#keep) {
      throw unfit(
        this.#name,
        table,
        `"${this.#column}" belongs to the key, by which rows are found: keep it (keep: true)`,
      )
    }
    const width = table.columns.length
    const added = this.#fields.map(({ name }) => ({ name, type: 'text' as const }))
    const twice = (name: string) => unfit(this.#name, table, `two columns would be called "${name}"`)
    const whole = withColumns(table, added, this.#codecs, twice)
    const flat = this.#keep
      ? whole
      : tableWith(whole, { selected: whole.selected.filter((column) => column !== source) })
    const from = flat.columns.map((_, index) => (index < width ? index : -1))
    const make = (column: number, row: Tuple, writer: ByteWriter): number => {
      const state = stateOf(row, source)
      if (state !== undefined) return state
      const pair = row.pair(source)
      const text = jsonTextAt(
        textAt(row.bytes, row.tape[pair]!, row.tape[pair + 1]!),
        this.#fields[column - width]!.path,
      )
      if (text === null) return NULL_COLUMN
      writer.write(Buffer.from(text))
      return VALUE
    }
    return { kind: 'rewrite', rewrite: { table: flat, from, make } }
  }
}
