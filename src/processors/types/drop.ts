import * as z from 'zod'
import { setting } from '../../core/setting.js'
import type { Table } from '../../core/table.js'
import { columnIndex, tableWith, unfit } from '../describe.js'
import type { Plan, Processor } from '../processor.js'
import { processorType } from '../processorType.js'

/** `type: drop`. */
export const dropType = processorType({
  settings: {
    columns: setting(z.array(z.string().min(1)).min(1), {
      description: 'Columns that go no further. Not those of a key: rows are found by it.',
      example: '[password, notes]',
    }),
  },
  hides: true,
  create: ({ columns }, { name }) => [new DropProcessor(name, columns)],
})

class DropProcessor implements Processor {
  readonly #name: string
  readonly #columns: readonly string[]

  constructor(name: string, columns: readonly string[]) {
    this.#name = name
    this.#columns = columns
  }

  plan(table: Table): Plan {
    const dropped = this.#columns.map((name) => columnIndex(this.#name, table, name))
    return { kind: 'describe', table: without(this.#name, table, dropped) }
  }
}

/** The table without these columns, whose bytes nobody sees any more. */
export function without(processor: string, table: Table, dropped: readonly number[]): Table {
  const key = dropped.find((column) => table.key.includes(column))
  if (key !== undefined) {
    const { name } = table.columns[key]!
    throw unfit(processor, table, `"${name}" belongs to the key, by which rows are found: it cannot be left out`)
  }
  return tableWith(table, { selected: table.selected.filter((column) => !dropped.includes(column)) })
}
