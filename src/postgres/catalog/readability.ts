import { ROW_SECURITY_ACTIVE, TABLE_NOT_READABLE } from '../../core/errors.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { quoteIdentifier, sqlName } from '../identifier.js'
import type { CatalogTable } from './tables.js'

/**
 * Why a snapshot of the tables by `user` would fail or lack rows; undefined when it would not. `LOCK TABLE` asks for
 * SELECT on the whole table: a privilege on some columns does not do.
 */
export function readingObstacle(tables: readonly CatalogTable[], user: string): TailraceError | undefined {
  const role = quoteIdentifier(user)
  const denied = tables.filter((table) => !table.schemaUsable || !table.readable)
  if (denied.length > 0) {
    const schemas = new Set(denied.filter((table) => !table.schemaUsable).map((table) => quoteIdentifier(table.schema)))
    const unreadable = denied.filter((table) => !table.readable).map(sqlName)
    const grants = [
      ...[...schemas].map((schema) => `GRANT USAGE ON SCHEMA ${schema} TO ${role};`),
      ...(unreadable.length > 0 ? [`GRANT SELECT ON ${unreadable.join(', ')} TO ${role};`] : []),
    ]
    return TABLE_NOT_READABLE({ user: role, tables: denied.map(sqlName), sql: grants.join(' ') })
  }
  const hidden = tables.filter((table) => table.rowSecurity).map(sqlName)
  if (hidden.length === 0) return undefined
  return ROW_SECURITY_ACTIVE({ user: role, tables: hidden, sql: `ALTER ROLE ${role} BYPASSRLS;` })
}
