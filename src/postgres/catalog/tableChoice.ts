import { NO_TABLES, PARTITION_NOT_EXCLUDABLE, TABLE_NOT_CAPTURABLE, TABLE_NOT_FOUND } from '../../core/errors.js'
import { nearest } from '../../core/nearest.js'
import { quoteQualified, sqlName } from '../identifier.js'
import { namesOne, RelationNames, type TablePattern } from '../tablePattern.js'
import { isSystemSchema, type Relation } from './relations.js'

/**
 * The relations that a table list means, in the order given by `relations`.
 *
 * - A pattern with a star takes ordinary and partitioned tables, and passes over views, foreign and unlogged tables,
 *   and partitions: those are their partitioned table's rows. A name by itself must be capturable.
 * - A partition named by itself is what a publication makes of it: part of its root if the root is captured too, else
 *   a table in its own right (a partition with partitions of its own: their root).
 * - Excluding wins over including. With a partitioned table go its partitions, except those included by name.
 */
export function chooseTables(
  relations: readonly Relation[],
  include: readonly TablePattern[],
  exclude: readonly TablePattern[],
): Relation[] {
  const names = new RelationNames(relations)
  const missing: TablePattern[] = []
  const included = new Set<Relation>()
  for (const pattern of include) {
    const found = capturable(pattern, names.match(pattern))
    if (found.length === 0) missing.push(pattern)
    for (const relation of found) included.add(relation)
  }
  const excluded = new Map<Relation, TablePattern>()
  for (const pattern of exclude) {
    const found = names.match(pattern)
    if (found.length === 0 && namesOne(pattern)) missing.push(pattern)
    for (const relation of found) excluded.set(relation, pattern)
  }
  if (missing.length > 0) throw notFound(missing, relations)

  const tree = new PartitionTree(relations)
  const captured = new Set([...included].filter((relation) => !excluded.has(relation)))
  for (const relation of captured) if (tree.ancestorIn(relation, captured) !== undefined) captured.delete(relation)
  for (const [partition, pattern] of excluded) {
    const root = tree.ancestorIn(partition, captured)
    if (root !== undefined && namesOne(pattern)) {
      throw PARTITION_NOT_EXCLUDABLE({ partition: sqlName(partition), root: sqlName(root) })
    }
  }
  if (captured.size === 0) throw NO_TABLES({ include: textOf(include) })
  return relations.filter((relation) => captured.has(relation))
}

/** A name's relation, which must be capturable, or those of a family's that are. */
function capturable(pattern: TablePattern, found: readonly Relation[]): Relation[] {
  if (!namesOne(pattern)) return found.filter((one) => one.parent === undefined && obstacle(one) === undefined)
  if (isSystemSchema(pattern.schema.text)) {
    const what = pattern.schema.text.startsWith('pg_temp') ? 'temporary' : "one of the server's own"
    throw TABLE_NOT_CAPTURABLE({ table: pattern.text, what })
  }
  for (const relation of found) {
    const what = obstacle(relation)
    if (what !== undefined) throw TABLE_NOT_CAPTURABLE({ table: sqlName(relation), what })
  }
  return [...found]
}

function obstacle({ kind, persistence }: Relation): string | undefined {
  if (kind !== 'ordinary' && kind !== 'partitioned') return `a ${kind}`
  return persistence === 'permanent' ? undefined : persistence
}

class PartitionTree {
  readonly #byOid: Map<number, Relation>

  constructor(relations: readonly Relation[]) {
    this.#byOid = new Map(relations.map((relation) => [relation.oid, relation]))
  }

  /** The nearest relation above `relation` that is in `set`. */
  ancestorIn(relation: Relation, set: ReadonlySet<Relation>): Relation | undefined {
    let above = this.#parentOf(relation)
    while (above !== undefined && !set.has(above)) above = this.#parentOf(above)
    return above
  }

  #parentOf({ parent }: Relation): Relation | undefined {
    return parent === undefined ? undefined : this.#byOid.get(parent)
  }
}

function notFound(missing: readonly TablePattern[], relations: readonly Relation[]) {
  const near = missing.map((pattern) => nearestTable(pattern, relations)).filter((name) => name !== undefined)
  return TABLE_NOT_FOUND({ names: missing.map(({ text }) => text), nearest: [...new Set(near)] })
}

/** The same name in another schema, else the name most like it, else a schema most like the one named. */
function nearestTable({ schema, name }: TablePattern, relations: readonly Relation[]): string | undefined {
  const candidates = relations.filter((relation) => obstacle(relation) === undefined)
  const lower = name.text.toLowerCase()
  const namesake = candidates.find((relation) => relation.name.toLowerCase() === lower)
  if (namesake !== undefined) return sqlName(namesake)
  const likely = new Map<string, string>()
  for (const relation of candidates) {
    const local = relation.schema === schema.text ? relation.name : `${relation.schema}.${relation.name}`
    likely.set(local, quoteQualified(relation.schema, relation.name))
  }
  const found = nearest(name.text, likely.keys()) ?? nearest(`${schema.text}.${name.text}`, likely.keys())
  return found === undefined ? undefined : likely.get(found)
}

function textOf(patterns: readonly TablePattern[]): string {
  return patterns.map(({ text }) => text).join(', ')
}
