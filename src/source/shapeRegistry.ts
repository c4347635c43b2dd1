import type { ReplicaIdentity, Table } from '../core/table.js'
import type { Relation } from '../postgres/pgoutput/relation.js'

/** One shape of a captured table, as the stream has it. */
export interface CapturedShape {
  /** Compiled; undefined until `ready` has resolved. */
  table: Table | undefined
  readonly ready: Promise<Table>
}

export interface LearnedShape {
  readonly shape: CapturedShape
  /** The run knew the table in another shape before. */
  readonly changed: boolean
}

/** As the catalog has it; `identityColumns` undefined: no index is the identity. */
export interface KnownIdentity {
  readonly replicaIdentity: ReplicaIdentity
  readonly identityColumns: readonly string[] | undefined
}

export interface ShapeRegistryOptions {
  /** Whether the relation is one to capture, by OID or by name: a table dropped and made again has another OID. */
  readonly captures: (relation: Relation) => boolean
  /** Compiles a shape not met before: asks the catalog what the Relation message does not tell. */
  readonly compile: (relation: Relation) => Promise<Table>
}

/**
 * The captured tables' shapes. Relation messages come in the middle of decoding, which cannot wait for the catalog: a
 * new shape is a promise until the batch that needs it is handed on.
 */
export class ShapeRegistry {
  readonly #options: ShapeRegistryOptions
  /** The last shape of each table, by qualified name and by OID. */
  readonly #latest = new Map<string | number, { readonly signature: string; readonly shape: CapturedShape }>()
  readonly #current = new Map<Relation, CapturedShape | undefined>()
  readonly #relations = new Map<number, Relation>()

  constructor(options: ShapeRegistryOptions) {
    this.#options = options
  }

  /** The shape in which the snapshot read a table: a Relation message that says the same is no change. */
  known(table: Table, { replicaIdentity, identityColumns }: KnownIdentity): void {
    const shape = { table, ready: Promise.resolve(table) }
    const columns = table.columns.map((column) => ({
      ...column,
      partOfKey: replicaIdentity === 'full' || (identityColumns?.includes(column.name) ?? false),
    }))
    const { oid, schema, name } = table
    this.#remember(table, signatureOf({ oid, schema, name, replicaIdentity, columns }), shape)
  }

  /** A Relation message: the table's shape from here on; undefined when it is not captured. */
  learn(relation: Relation): LearnedShape | undefined {
    const before = this.#relations.get(relation.oid)
    if (before !== undefined) this.#current.delete(before)
    this.#relations.set(relation.oid, relation)
    const learned = this.#options.captures(relation) ? this.#shapeOf(relation) : undefined
    this.#current.set(relation, learned?.shape)
    return learned
  }

  of(relation: Relation): CapturedShape | undefined {
    return this.#current.get(relation)
  }

  #shapeOf(relation: Relation): LearnedShape {
    const signature = signatureOf(relation)
    const latest = this.#latest.get(relation.oid) ?? this.#latest.get(`${relation.schema}.${relation.name}`)
    if (latest?.signature === signature) return { shape: latest.shape, changed: false }
    const ready = this.#options.compile(relation)
    ready.catch(() => {}) // whoever waits for the batch sees it
    const shape: CapturedShape = { table: undefined, ready }
    ready.then(
      (table) => {
        shape.table = table
      },
      () => {},
    )
    this.#remember(relation, signature, shape)
    return { shape, changed: latest !== undefined }
  }

  #remember(
    { oid, schema, name }: { readonly oid: number; readonly schema: string; readonly name: string },
    signature: string,
    shape: CapturedShape,
  ): void {
    this.#latest.set(oid, { signature, shape })
    this.#latest.set(`${schema}.${name}`, { signature, shape })
  }
}

interface Shaped {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly replicaIdentity: string
  readonly columns: readonly {
    readonly name: string
    readonly typeOid: number
    readonly typmod: number
    readonly partOfKey: boolean
  }[]
}

/** Two relations with the same signature are one shape. */
function signatureOf({ oid, schema, name, replicaIdentity, columns }: Shaped): string {
  const described = columns.map((column) => [column.name, column.typeOid, column.typmod, column.partOfKey])
  return JSON.stringify([oid, schema, name, replicaIdentity, described])
}
