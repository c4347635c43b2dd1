import { ROW_SECURITY_ACTIVE, TABLE_NOT_READABLE } from '../../core/errors.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { quoteIdentifier, sqlName } from '../identifier.js'
import type { CatalogTable } from './tables.js'

/**
 * Why a snapshot of the tables by `user` would fail or lack rows; undefined when it would not. `LOCK TABLE` asks for
 * SELECT on the whole table: a privilege on some columns does not do. Partitions are read one by one, by their own
 * privileges and policies.
 */
export function readingObstacle(tables: readonly CatalogTable[], user: string): TailraceError | undefined {
  const role = quoteIdentifier(user)
  const relations = tables.flatMap((table) => [table, ...table.partitions])
  const withoutSchema = relations.filter((relation) => !relation.schemaUsable)
  const unreadable = relations.filter((relation) => !relation.readable)
  const denied = new Set([...withoutSchema, ...unreadable].map(sqlName))
  if (denied.size > 0) {
    const schemas = new Set(withoutSchema.map(({ schema }) => quoteIdentifier(schema)))
    const grants = [
      ...[...schemas].map((schema) => `GRANT USAGE ON SCHEMA ${schema} TO ${role};`),
      ...(unreadable.length > 0 ? [`GRANT SELECT ON ${unreadable.map(sqlName).join(', ')} TO ${role};`] : []),
    ]
    return TABLE_NOT_READABLE({ user: role, tables: [...denied], sql: grants.join(' ') })
  }
  const hidden = relations.filter((relation) => relation.rowSecurity).map(sqlName)
  if (hidden.length === 0) return undefined
  return ROW_SECURITY_ACTIVE({ user: role, tables: hidden, sql: `ALTER ROLE ${role} BYPASSRLS;` })
}
