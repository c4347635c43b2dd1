import type { Queryable } from '../queryable.js'
import { COMPOSITES_SQL, type DefinitionRow, TYPES_SQL, type TypeRow } from './typesSql.js'

interface NamedType {
  readonly oid: number
  readonly schema: string
  readonly name: string
}

/** A type whose text form has no parts that the server's to_json would show. */
export interface ScalarType extends NamedType {
  readonly kind: 'scalar'
  /** `unknown`: the catalog has no such OID, the type was dropped or is not there yet. */
  readonly variety: 'base' | 'enum' | 'range' | 'multirange' | 'pseudo' | 'unknown'
  /**
   * The function by which the server's to_json would make its JSON, a user's own (PostGIS has one for geometry). It
   * cannot be computed here: the type becomes a string, and whoever starts a capture says so. Null for nearly all.
   */
  readonly jsonCast: string | null
}

export interface ArrayType extends NamedType {
  readonly kind: 'array'
  readonly element: PgType
  /** The byte between two elements: `,` for all but box, which has `;`. */
  readonly delimiter: number
  /** int2vector and oidvector, whose text is `1 2 3`, without braces. */
  readonly vector: boolean
}

export interface CompositeType extends NamedType {
  readonly kind: 'composite'
  /** In the order of the text form; a table's dropped columns are left out there and here. */
  readonly fields: readonly CompositeField[]
}

interface CompositeField {
  readonly name: string
  readonly type: PgType
}

/** The one contrib type with a form of its own in to_json. */
export interface HstoreType extends NamedType {
  readonly kind: 'hstore'
}

/** What the text form of a type is made of. Immutable. Domains do not appear: they are their base type. */
export type PgType = ScalarType | ArrayType | CompositeType | HstoreType

/** `int4`, `inventory.status`: how messages name a type. */
export function nameOf(type: PgType): string {
  return type.schema === 'pg_catalog' ? type.name : `${type.schema}.${type.name}`
}

/** The user types in `type` and its parts that the server would make JSON of by a cast, and we give as strings. */
export function jsonCastsIn(type: PgType): ScalarType[] {
  return [...partsOf(type)].filter((part): part is ScalarType => part.kind === 'scalar' && part.jsonCast !== null)
}

/** The composites in `type`, itself perhaps one: a shape that may be altered without a word in the stream. */
export function compositesIn(type: PgType): CompositeType[] {
  return [...partsOf(type)].filter((part) => part.kind === 'composite')
}

/** `type`, and all that it is made of. */
export function partsOf(type: PgType): Set<PgType> {
  const seen = new Set([type])
  for (const part of seen) {
    if (part.kind === 'array') seen.add(part.element)
    else if (part.kind === 'composite') for (const field of part.fields) seen.add(field.type)
  }
  return seen
}

const VARIETY: Readonly<Record<string, ScalarType['variety']>> = {
  b: 'base',
  e: 'enum',
  r: 'range',
  m: 'multirange',
  p: 'pseudo',
}

const INT2VECTOR = 22
const OIDVECTOR = 30

/**
 * The types of one database, read when asked for and kept. One {@link TypeCatalog.load} is at most one query, however
 * many types and whatever they are made of; types already known are not read again.
 */
export class TypeCatalog {
  readonly #queryable: Queryable
  readonly #types = new Map<number, PgType>()
  readonly #unknown = new Map<number, ScalarType>()
  readonly #unreported = new Set<number>()
  /** Of each composite the fields, as {@link COMPOSITES_SQL} gives them, that {@link refresh} has told of. */
  readonly #definitions = new Map<number, string>()

  constructor(queryable: Queryable) {
    this.#queryable = queryable
  }

  /**
   * Reads what is not known yet, with all parts, and gives the OIDs that it read. An OID that the catalog does not have
   * becomes an opaque scalar.
   */
  async load(oids: readonly number[]): Promise<ReadonlySet<number>> {
    const missing = new Set(oids.filter((oid) => !this.#types.has(oid)))
    if (missing.size > 0) await this.#read([...missing], this.#types)
    return missing
  }

  /**
   * Reads types anew, with all parts: the shape of a composite may have been altered since. Types that are made of one
   * of these, and not named here, keep the old part.
   */
  async reload(oids: readonly number[]): Promise<void> {
    if (oids.length > 0) await this.#read([...new Set(oids)], new Map())
  }

  /**
   * Reads the composites anew that were altered since the last time, with all types that are made of them; gives the
   * OIDs of all these. One query while nothing was altered, none while there are no composites.
   */
  async refresh(): Promise<ReadonlySet<number>> {
    if (this.#definitions.size === 0) return new Set()
    const rows = await this.#queryable.query<DefinitionRow>(COMPOSITES_SQL, [[...this.#definitions.keys()]])
    const altered = new Map<number, string>()
    for (const { oid, fields } of rows) {
      if (this.#definitions.get(Number(oid)) !== fields) altered.set(Number(oid), fields)
    }
    if (altered.size === 0) return new Set()
    const touched = (type: PgType) => compositesIn(type).some(({ oid }) => altered.has(oid))
    const stale = [...this.#types].filter(([, type]) => touched(type)).map(([oid]) => oid)
    await this.reload(stale)
    for (const [oid, fields] of altered) this.#definitions.set(oid, fields)
    return new Set(stale)
  }

  /** The type, a domain's base in its place; undefined when it was never loaded. */
  get(oid: number): PgType | undefined {
    return this.#types.get(oid) ?? this.#unknown.get(oid)
  }

  /** The OIDs that the catalog did not have, each told once. */
  takeUnknown(): number[] {
    const oids = [...this.#unreported]
    this.#unreported.clear()
    return oids
  }

  async #read(oids: readonly number[], known: ReadonlyMap<number, PgType>): Promise<void> {
    const rows = await this.#queryable.query<TypeRow>(TYPES_SQL, [oids])
    const byOid = new Map(rows.map((row) => [Number(row.oid), row]))
    const built = buildTypes(byOid, known)
    for (const [oid, type] of built) {
      this.#types.set(oid, type)
      const fields = byOid.get(oid)?.fields ?? null
      if (fields !== null && !this.#definitions.has(oid)) this.#definitions.set(oid, fields)
    }
    for (const oid of oids) {
      if (this.#types.has(oid) || this.#unknown.has(oid)) continue // what was dropped since keeps its shape
      this.#unknown.set(oid, opaque(oid))
      this.#unreported.add(oid)
    }
  }
}

/**
 * Puts rows together, with parts that are known already. Each domain's OID leads to its base; parts come before wholes,
 * since Postgres has no cycles.
 */
export function buildTypes(
  rows: ReadonlyMap<number, TypeRow>,
  known: ReadonlyMap<number, PgType> = new Map(),
): Map<number, PgType> {
  const built = new Map<number, PgType>()
  const build = (oid: number): PgType => {
    const done = built.get(oid) ?? known.get(oid)
    if (done !== undefined) return done
    const row = rows.get(oid)
    if (row === undefined) return opaque(oid)
    built.set(oid, opaque(oid)) // what a cycle would find
    const type = fromRow(row, build)
    built.set(oid, type)
    return type
  }
  for (const oid of rows.keys()) build(oid)
  return built
}

function fromRow(row: TypeRow, part: (oid: number) => PgType): PgType {
  const { schema, name } = row
  const oid = Number(row.oid)
  if (row.typtype === 'd') return part(Number(row.base))
  if (row.element !== null) {
    const vector = oid === INT2VECTOR || oid === OIDVECTOR
    const delimiter = (row.delimiter ?? ',').charCodeAt(0)
    return { kind: 'array', oid, schema, name, element: part(Number(row.element)), delimiter, vector }
  }
  if (row.fields !== null) {
    const fields = (JSON.parse(row.fields) as [string, string][]).map(([field, type]) => ({
      name: field,
      type: part(Number(type)),
    }))
    return { kind: 'composite', oid, schema, name, fields }
  }
  if (row.is_hstore) return { kind: 'hstore', oid, schema, name }
  return { kind: 'scalar', oid, schema, name, variety: VARIETY[row.typtype] ?? 'base', jsonCast: row.json_cast }
}

function opaque(oid: number): ScalarType {
  return { kind: 'scalar', oid, schema: 'pg_catalog', name: `type ${oid}`, variety: 'unknown', jsonCast: null }
}
