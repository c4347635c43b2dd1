import { COLUMN_REPLACED } from '../core/destinationErrors.js'
import type { Table } from '../core/table.js'
import { sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { execute, schemasMissing } from './createTable.js'
import { planEvolution } from './evolve.js'
import type { ParsedDestination } from './options.js'
import { wantedColumns } from './target.js'
import { findTargetTable } from './targetTable.js'
import { planTypes } from './targetTypes.js'

/** Alters the target's tables as the source alters its own, when the first row of a shape comes. Outlives sessions. */
export class Evolution {
  readonly #options: Pick<ParsedDestination, 'targetOf' | 'keys' | 'mode' | 'columnsDropped'>
  /** By name of the source's table, the last shape of which something is committed; and those of the open transaction. */
  readonly #committed = new Map<string, Table>()
  readonly #open = new Map<string, Table>()
  /** Of which was told what nobody can follow: taken for done by hand when they come again. */
  readonly #mended = new WeakSet<Table>()

  constructor(options: Pick<ParsedDestination, 'targetOf' | 'keys' | 'mode' | 'columnsDropped'>) {
    this.#options = options
  }

  /** A transaction begins. */
  begin(): void {
    this.#open.clear()
  }

  /** It was committed. */
  commit(): void {
    for (const [name, table] of this.#open) this.#committed.set(name, table)
    this.#open.clear()
  }

  /** Adds labels to enums of the target; not within a transaction, in which a new label could not be used yet. */
  async addLabels(queryable: Queryable, table: Table): Promise<void> {
    const target = this.#options.targetOf(table)
    const facts = await findTargetTable(queryable, target)
    const columns = wantedColumns(table, this.#options.keys)
      .map((index) => table.columns[index]!)
      .filter(({ name, typeName }) => facts?.columns.get(name)?.typeName === typeName)
    const { labels } = await planTypes(queryable, columns, sqlName(target))
    if (labels.length > 0) await execute(queryable, sqlName(target), 'altered', labels)
  }

  /** Rows of `table` come next, in the transaction that is open. A target that is missing is not made. */
  async follow(queryable: Queryable, table: Table): Promise<void> {
    const { targetOf, keys, mode, columnsDropped } = this.#options
    const source = sqlName(table)
    const known = this.#open.get(source) ?? this.#committed.get(source)
    const before = this.#mended.has(table) ? undefined : known
    const target = targetOf(table)
    const facts = await findTargetTable(queryable, target)
    if (facts !== undefined) {
      const wanted = wantedColumns(table, keys)
      const isNew = ({ name, typeName }: Table['columns'][number]) => {
        const old = before?.columns.find((column) => column.name === name)
        return !facts.columns.has(name) || (old !== undefined && old.typeName !== typeName)
      }
      const columns = wanted.map((index) => table.columns[index]!).filter(isNew)
      const types = await planTypes(queryable, columns, sqlName(target))
      const rules = { dropped: columnsDropped, mode, translate: types.translate }
      const clauses = this.#plan(table, before, wanted, facts, rules)
      const schemas = await schemasMissing(queryable, types.schemas)
      const statements = [...schemas, ...types.statements, ...clauses]
      if (statements.length > 0) await execute(queryable, sqlName(target), 'altered', statements)
    }
    this.#open.set(source, table)
  }

  #plan(...[table, before, wanted, facts, rules]: Parameters<typeof planEvolution>): string[] {
    try {
      return planEvolution(table, before, wanted, facts, rules)
    } catch (error) {
      if (COLUMN_REPLACED.is(error)) this.#mended.add(table)
      throw error
    }
  }
}

/** The target could not follow a shape whose first row is record `at` of a batch: `cause` says why. */
export class ShapeRefused extends Error {
  readonly at: number

  constructor(at: number, cause: unknown) {
    super('a shape was refused', { cause })
    this.at = at
  }
}
