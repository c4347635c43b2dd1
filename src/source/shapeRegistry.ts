import type { ReplicaIdentity, Table } from '../core/table.js'
import type { Relation } from '../postgres/pgoutput/relation.js'

/** One shape of a captured table, as the stream has it. */
export interface CapturedShape {
  /** Compiled; undefined until `ready` has resolved. */
  table: Table | undefined
  readonly ready: Promise<Table>
  /** `ready` has rejected. */
  failed?: boolean
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
  /** Whether types of the relation's columns may be altered without a word: then it is compiled at every message. */
  readonly mayAlter?: ((relation: Relation) => boolean) | undefined
}

interface Shape {
  readonly signature: string
  readonly shape: CapturedShape
}

/**
 * The captured tables' shapes. Relation messages come in the middle of decoding, which cannot wait for the catalog: a
 * new shape is a promise until the batch that needs it is handed on.
 */
export class ShapeRegistry {
  readonly #options: ShapeRegistryOptions
  /** The last shape that was told of each table, by qualified name and by OID. */
  readonly #told = new Map<string | number, Shape>()
  /** The shapes that the catalog had at the start, by OID. */
  readonly #known = new Map<number, Shape>()
  readonly #current = new Map<Relation, CapturedShape | undefined>()
  readonly #relations = new Map<number, Relation>()

  constructor(options: ShapeRegistryOptions) {
    this.#options = options
  }

  /**
   * The shape in which the catalog has a table: a Relation message that says the same need not be compiled. `told`: the
   * run has told it, in a snapshot perhaps, so that a message which says otherwise is a change.
   */
  known(table: Table, { replicaIdentity, identityColumns }: KnownIdentity, { told }: { readonly told: boolean }): void {
    const columns = table.columns.map((column) => ({
      ...column,
      partOfKey: replicaIdentity === 'full' || (identityColumns?.includes(column.name) ?? false),
    }))
    const { oid, schema, name } = table
    const signature = signatureOf({ oid, schema, name, replicaIdentity, columns })
    const known = { signature, shape: { table, ready: Promise.resolve(table) } }
    this.#known.set(oid, known)
    if (told) this.#tell(table, known)
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

  /** The table is captured no more. */
  forget(oid: number): void {
    const relation = this.#relations.get(oid)
    if (relation !== undefined) this.#current.set(relation, undefined)
    this.#known.delete(oid)
    this.#told.delete(oid)
    if (relation !== undefined) this.#told.delete(qualifiedName(relation))
  }

  of(relation: Relation): CapturedShape | undefined {
    return this.#current.get(relation)
  }

  /** Compiles the tables anew that have columns of these types: for what is read from now on. */
  recompile(typeOids: ReadonlySet<number>): void {
    for (const [relation, shape] of this.#current) {
      if (shape === undefined || !relation.columns.some(({ typeOid }) => typeOids.has(typeOid))) continue
      const compiled = { signature: signatureOf(relation), shape: this.#compile(relation) }
      this.#current.set(relation, compiled.shape)
      this.#tell(relation, compiled)
    }
  }

  #shapeOf(relation: Relation): LearnedShape {
    const signature = signatureOf(relation)
    const before = this.#told.get(relation.oid) ?? this.#told.get(qualifiedName(relation))
    const changed = before !== undefined && before.signature !== signature
    const lasting = this.#options.mayAlter?.(relation) !== true
    const met = [before, this.#known.get(relation.oid)].find((one) => lasting && one?.signature === signature)
    const shape = met?.shape ?? this.#compile(relation)
    this.#tell(relation, { signature, shape })
    return { shape, changed }
  }

  #compile(relation: Relation): CapturedShape {
    const ready = this.#options.compile(relation)
    const shape: CapturedShape = { table: undefined, ready }
    ready.then(
      (table) => {
        shape.table = table
      },
      () => {
        shape.failed = true // whoever waits for the batch sees it
      },
    )
    return shape
  }

  #tell(relation: Named, shape: Shape): void {
    this.#told.set(relation.oid, shape)
    this.#told.set(qualifiedName(relation), shape)
  }
}

interface Named {
  readonly oid: number
  readonly schema: string
  readonly name: string
}

/** No name holds a NUL. */
export function qualifiedName({ schema, name }: Omit<Named, 'oid'>): string {
  return `${schema}\0${name}`
}

interface Shaped extends Named {
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
