import * as z from 'zod'
import type { ChunkRange } from '../../core/record.js'
import { setting } from '../../core/setting.js'
import type { Table } from '../../core/table.js'
import { columnIndex, presentWith, tableWith, unfit } from '../describe.js'
import type { Plan, Processor } from '../processor.js'
import { processorType } from '../processorType.js'

/** `type: rename`. */
export const renameType = processorType({
  settings: {
    columns: setting(z.record(z.string().min(1), z.string().min(1)), {
      description: 'The columns by their names, with those that they get. Two may change places.',
      example: '{name: full_name}',
    }),
  },
  create: ({ columns }, { name }) => [new RenameProcessor(name, new Map(Object.entries(columns)))],
})

class RenameProcessor implements Processor {
  readonly #name: string
  readonly #columns: ReadonlyMap<string, string>

  constructor(name: string, columns: ReadonlyMap<string, string>) {
    this.#name = name
    this.#columns = columns
  }

  plan(table: Table): Plan {
    for (const name of this.#columns.keys()) columnIndex(this.#name, table, name)
    const named = <Named extends { readonly name: string }>(one: Named): Named => {
      return { ...one, name: this.#columns.get(one.name) ?? one.name }
    }
    const columns = table.columns.map((column, index) => (table.selected.includes(index) ? named(column) : column))
    const names = columns.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) throw unfit(this.#name, table, `two columns would be called "${twice}"`)
    return { kind: 'describe', table: tableWith(table, { columns, present: presentWith(table, named) }) }
  }

  range(range: ChunkRange): ChunkRange {
    return { ...range, key: range.key.map((name) => this.#columns.get(name) ?? name) }
  }
}
