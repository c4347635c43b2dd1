import type { Table } from '../core/table.js'
import { describeTables } from '../postgres/catalog/tables.js'
import type { Publication } from '../postgres/publication.js'
import type { Queryable } from '../postgres/queryable.js'
import { type PlannedTable, restrictByPublications } from './capturePlan.js'
import type { SourceEvent } from './events.js'
import type { ParsedOptions } from './options.js'
import { compileTables, type Prepared, plan } from './preparation.js'
import { qualifiedName } from './shapeRegistry.js'
import type { UnitQuery } from './snapshot/query.js'

/** A captured table as the catalog has it now. */
export interface CapturedTable {
  readonly planned: PlannedTable
  readonly table: Table
  readonly query: UnitQuery
}

/** The tables that are captured at this moment, with everything that was decided about them. */
export class CaptureSet {
  readonly #prepared: Prepared
  readonly #options: ParsedOptions
  readonly #emit: (event: SourceEvent) => void
  readonly #byOid = new Map<number, PlannedTable>()
  readonly #byName = new Map<string, PlannedTable>()
  /** Gone, but the stream may still bring changes of before. */
  readonly #dropped = new Set<number>()
  #publications: readonly Publication[]

  constructor(
    prepared: Prepared,
    planned: readonly PlannedTable[],
    publications: readonly Publication[],
    options: ParsedOptions,
    emit: (event: SourceEvent) => void,
  ) {
    this.#prepared = prepared
    this.#publications = publications
    this.#options = options
    this.#emit = emit
    for (const one of planned) this.#add(one)
  }

  /** Those that are there. */
  get planned(): readonly PlannedTable[] {
    return [...this.#byOid.values()].filter(({ table }) => !this.#dropped.has(table.oid))
  }

  get oids(): readonly number[] {
    return this.planned.map(({ table }) => table.oid)
  }

  /** By OID, else by name: a table that was dropped and made again has another OID. */
  find(relation: { readonly oid: number; readonly schema: string; readonly name: string }): PlannedTable | undefined {
    return this.#byOid.get(relation.oid) ?? this.#byName.get(qualifiedName(relation))
  }

  /** Those that were dropped since the last look. */
  async lookForDropped(queryable: Queryable): Promise<readonly PlannedTable[]> {
    const { planned } = this
    const gone = await queryable.query<{ oid: string }>(
      `SELECT t.oid::pg_catalog.text AS oid
         FROM pg_catalog.unnest($1::pg_catalog.int8[]) AS t (oid)
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.oid::pg_catalog.oid)`,
      [planned.map(({ table }) => table.oid)],
    )
    for (const { oid } of gone) this.#dropped.add(Number(oid))
    return planned.filter(({ table }) => this.#dropped.has(table.oid))
  }

  /** By the planner's figure. */
  estimatedRows(oid: number): number {
    return this.#byOid.get(oid)?.table.estimatedRows ?? 0
  }

  /** Whether what becomes of the table's rows is told by another key than these columns, in whatever order. */
  hasOtherKey(oid: number, columns: readonly string[]): boolean {
    const plan = this.#byOid.get(oid)?.plan
    if (plan === undefined || plan.insertsOnly || plan.key.length === 0) return false
    return plan.key.length !== columns.length || columns.some((name) => !plan.key.includes(name))
  }

  has(oid: number): boolean {
    return this.#byOid.has(oid)
  }

  add(planned: readonly PlannedTable[]): void {
    for (const one of planned) this.#add(one)
  }

  /** The tables are published as these say from now on. */
  publishedBy(publications: readonly Publication[]): void {
    this.#publications = publications
    for (const one of restrictByPublications(this.planned, publications)) this.#add(one)
  }

  remove(oid: number): PlannedTable | undefined {
    const planned = this.#byOid.get(oid)
    if (planned === undefined) return undefined
    this.#byOid.delete(oid)
    if (this.#byName.get(qualifiedName(planned.table)) === planned) this.#byName.delete(qualifiedName(planned.table))
    return planned
  }

  /** The table as the catalog has it when `queryable` looks; undefined when it is gone. */
  async look(queryable: Queryable, oid: number): Promise<CapturedTable | undefined> {
    const { facts, generated, compiler } = this.#prepared
    const [described] = await describeTables(queryable, [oid])
    if (described === undefined) return undefined
    const [planned] = restrictByPublications(
      plan([described], this.#options, facts, generated, { someOnly: true }),
      this.#publications,
    )
    // What was taken out meanwhile stays so.
    if (this.remove(oid) !== undefined) this.#add(planned!)
    const table = (await compileTables([planned!], compiler, this.#emit)).get(oid)!
    const read = new Set([...table.selected, ...table.key].map((index) => table.columns[index]!.name))
    const { columns, rowFilter } = planned!
    return { planned: planned!, table, query: { columns, read, withPlace: table.key.length === 0, rowFilter } }
  }

  #add(planned: PlannedTable): void {
    this.#byOid.set(planned.table.oid, planned)
    this.#byName.set(qualifiedName(planned.table), planned)
  }
}
