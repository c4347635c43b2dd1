import { type QualifiedName, sqlName } from '../postgres/identifier.js'

const MOST = 10

/** For messages; `more`: some of which nobody knows the names, since no run was there. */
export function named(partitions: readonly QualifiedName[], more = false): string {
  if (partitions.length === 0) return 'some partitions'
  const names = partitions.slice(0, MOST).map(sqlName).join(', ')
  const rest = partitions.length - MOST
  const others = more ? ' and others' : rest > 0 ? ` and ${rest} more` : ''
  return `${partitions.length === 1 && !more ? 'partition' : 'partitions'} ${names}${others}`
}
