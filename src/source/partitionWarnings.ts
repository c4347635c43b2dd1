import type { SourceEvent } from './events.js'

interface Facts {
  readonly table: string
  readonly partitions: readonly string[]
  readonly repairs: boolean
  readonly hasKey: boolean
}

const MOST = 10

/** `more`: some of which the names are not known, since no run was there. */
export function partitionGone({ more, ...facts }: Facts & { readonly more: boolean }): SourceEvent {
  const { table, partitions } = facts
  const some = partitions.length === 0 ? 'partitions' : named(partitions)
  const others = more && partitions.length > 0 ? ' and others' : ''
  const when = more ? ' while no run looked' : ''
  return {
    type: 'warning',
    code: 'PARTITION_GONE',
    message: `${some}${others} of ${table} were detached or dropped${when}: their rows went without a delete record`,
    hint: wayOut(facts),
  }
}

export function partitionsTruncated(facts: Facts): SourceEvent {
  return {
    type: 'warning',
    code: 'PARTITION_TRUNCATED',
    message: `${named(facts.partitions)} of ${facts.table} were truncated, ${facts.table} itself was not: their rows went without a record`,
    hint: wayOut(facts),
  }
}

/** Of a server before version 15, where our role cannot have it look anew. */
export function partitionsUnnoticed({ table, partitions }: Pick<Facts, 'table' | 'partitions'>): SourceEvent {
  return {
    type: 'warning',
    code: 'PARTITION_UNNOTICED',
    message: `the server (before PostgreSQL 15) may go on publishing changes of ${named(partitions)} as before, not as those of ${table}`,
    hint: `With CREATE on the database our role can have it look anew. Now restart the run when it has caught up, and have ${table} read again (tailrace signal resnapshot).`,
  }
}

function wayOut({ table, repairs, hasKey }: Facts): string {
  if (!hasKey) return 'The table has no key by which a consumer could be told what is no more: delete it there by hand.'
  if (repairs)
    return 'The table is read once more: batches tell of which keys they have all rows, and the rest can be deleted.'
  return `If a consumer is to delete them, too, have ${table} read again (tailrace signal resnapshot, source.resnapshot()): batches tell of which keys they have all rows. onPartitionGone: "resnapshot" does that by itself.`
}

function named(partitions: readonly string[]): string {
  const names = partitions.slice(0, MOST).join(', ')
  const word = partitions.length === 1 ? 'partition' : 'partitions'
  return partitions.length > MOST ? `${word} ${names} and ${partitions.length - MOST} more` : `${word} ${names}`
}
