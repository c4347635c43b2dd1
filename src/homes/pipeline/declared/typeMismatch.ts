import { acceptedFor } from '../../../codec/declared/declaredTypes.js'
import type { PgType } from '../../../postgres/catalog/types.js'
import { nameOf } from '../../../postgres/catalog/types.js'
import { type QualifiedName, quoteIdentifier, sqlName } from '../../../postgres/identifier.js'

/** That a column cannot be what it is declared as, and what it can be. */
export function typeMismatch(table: QualifiedName, column: string, type: PgType, declared: string): string {
  const accepted = acceptedFor(type).join(' or ')
  return `column ${quoteIdentifier(column)} of ${sqlName(table)} is ${typeName(type)}, which ${declared} cannot hold: declare it as ${accepted}`
}

function typeName(type: PgType): string {
  return type.kind === 'array' && !type.vector ? `${typeName(type.element)}[]` : nameOf(type)
}
