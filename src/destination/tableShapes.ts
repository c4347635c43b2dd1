import { quoteLiteral, quoteQualified } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'

/** A column of the source, as it was in the last shape of which something was written. */
export interface AppliedColumn {
  readonly name: string
  readonly typeName: string
  /** pg_attribute.attnum at the source; null: it was gone already when the shape came; undefined: not known. */
  readonly number?: number | null | undefined
  /** That of the target's column. */
  readonly at?: number | undefined
  /** NOT NULL at the source then or before, and no row of it has shown otherwise. */
  readonly notNull?: true | undefined
  /** The source has dropped it, the target has not. */
  readonly kept?: true | undefined
}

/** The last shape of a table of the source of which something was written, and columns of earlier ones that the target has kept. */
export interface AppliedShape {
  /** The table's OID at the source: what numbers are of. */
  readonly oid: number
  readonly columns: readonly AppliedColumn[]
}

/** The shapes of one source's tables, beside its checkpoint in the target: by names of the source's tables. */
export class TableShapes {
  readonly #source: string
  readonly #name: string

  constructor(schema: string, source: string) {
    this.#source = source
    this.#name = quoteQualified(schema, 'table_shape')
  }

  async load(queryable: Queryable): Promise<Map<string, AppliedShape>> {
    const rows = await queryable.query<{ relation: string; shape: AppliedShape }>(
      `SELECT relation, shape FROM ${this.#name} WHERE source = $1`,
      [this.#source],
    )
    return new Map(rows.map(({ relation, shape }) => [relation, shape]))
  }

  /** Of a source of which nothing is written, whatever is there is of another life. */
  async forget(queryable: Queryable): Promise<void> {
    await queryable.query(`DELETE FROM ${this.#name} WHERE source = $1`, [this.#source])
  }

  /** In the batch's transaction. */
  async store(queryable: Queryable, shapes: ReadonlyMap<string, AppliedShape>): Promise<void> {
    const rows = [...shapes].map(([relation, shape]) => {
      return `(${[this.#source, relation, JSON.stringify(shape)].map(quoteLiteral).join(', ')})`
    })
    await queryable.query(
      `INSERT INTO ${this.#name} (source, relation, shape) VALUES ${rows.join(', ')}
       ON CONFLICT (source, relation) DO UPDATE SET shape = excluded.shape`,
    )
  }
}

/** Makes the table `name` (in SQL's form) where it is missing. */
export function createTableShapesSql(name: string): string {
  return `CREATE TABLE IF NOT EXISTS ${name} (
            source text NOT NULL,
            relation text NOT NULL,
            shape json NOT NULL,
            PRIMARY KEY (source, relation)
          )`
}
