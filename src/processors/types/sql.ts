import * as z from 'zod'
import { setting } from '../../core/setting.js'
import type { Table } from '../../core/table.js'
import { columnIndex } from '../describe.js'
import { FilterProcessor } from '../filterProcessor.js'
import type { Plan, Processor } from '../processor.js'
import { processorType } from '../processorType.js'
import { problemOf } from '../sql/problemOf.js'
import { parseQuery } from '../sql/query.js'
import { without } from './drop.js'

/** `type: sql`. */
export const sqlType = processorType({
  settings: {
    query: setting(z.string().min(1), {
      description:
        'SELECT columns, or *, FROM a table, with or without WHERE. The table is schema.table; stream.table is the one of that name in every schema.',
      example: "SELECT id, total FROM stream.orders WHERE total > 10 AND status <> 'draft'",
    }),
  },
  needsGrammar: true,
  streams: ({ query }) => parseQuery(query).table,
  problems: ({ query }) => problemOf('query', () => parseQuery(query)),
  create: ({ query }, { name }) => {
    const { columns, where } = parseQuery(query)
    return [
      ...(where === undefined ? [] : [new FilterProcessor(name, where)]),
      ...(columns === undefined ? [] : [new ProjectProcessor(name, columns)]),
    ]
  },
})

/** Only these columns go on. */
class ProjectProcessor implements Processor {
  readonly #name: string
  readonly #columns: readonly string[]

  constructor(name: string, columns: readonly string[]) {
    this.#name = name
    this.#columns = columns
  }

  plan(table: Table): Plan {
    const chosen = this.#columns.map((name) => columnIndex(this.#name, table, name))
    const dropped = table.selected.filter((column) => !chosen.includes(column))
    return { kind: 'describe', table: without(this.#name, table, dropped) }
  }
}
