import {
  GENERATED_COLUMN_IN_IDENTITY,
  KEY_COLUMN_UNPUBLISHED,
  KEY_OUTSIDE_IDENTITY,
  REPLICA_IDENTITY_MISSING,
} from '../../core/errors.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { columnNotFound } from '../columnSelection.js'
import { quoteIdentifier, sqlName } from '../identifier.js'
import {
  type GeneratedColumns,
  identityOf,
  isPublished,
  type KeyFacts,
  refusedGeneratedColumn,
  replicaIdentityDefaultSql,
  replicaIdentityFullSql,
} from './identity.js'

export interface KeyWishes {
  /** Column names that the user wants as key, in order. */
  readonly key?: readonly string[] | undefined
  /** Only inserts and truncates of the table are captured: nothing is asked of its replica identity. */
  readonly insertsOnly?: boolean
  /** Which generated columns the publication carries. Default `none`. */
  readonly generated?: GeneratedColumns
}

export interface ChosenKey {
  /** Column names in key order; empty: the table is captured without a key. */
  readonly columns: readonly string[]
  readonly origin: 'user' | 'primary key' | 'replica identity' | 'unique index' | 'none'
  /** Updates and deletes carry the whole old row. */
  readonly wholeOldRows: boolean
  readonly insertsOnly: boolean
  /**
   * New partitions will come without replica identity (it is not inherited, a primary key is), and UPDATE and DELETE
   * on them will fail for the application until `ALTER TABLE … REPLICA IDENTITY FULL`: to be said at start.
   */
  readonly newPartitionsLackIdentity: boolean
}

export type KeyChoice = { readonly chosen: ChosenKey } | { readonly refusal: TailraceError }

/**
 * Which columns are the key of a captured table. The replica identity decides, since a delete or a change of the key
 * carries nothing else: with FULL any key can be had, else one whose columns the identity contains.
 */
export function chooseKey(table: KeyFacts, wishes: KeyWishes = {}): KeyChoice {
  const { key, insertsOnly = false, generated = 'none' } = wishes
  const names = table.columns.map(({ name }) => name)
  const unknown = key?.find((name) => !names.includes(name))
  if (unknown !== undefined) return { refusal: columnNotFound(unknown, table, names) }
  const unpublished = key?.find((name) => !published(table, name, generated))
  if (unpublished !== undefined) {
    const column = quoteIdentifier(unpublished)
    const problem = 'it is generated, and the server does not publish generated columns here'
    return { refusal: KEY_COLUMN_UNPUBLISHED({ table: sqlName(table), column, problem }) }
  }
  if (insertsOnly) {
    const best = key ? userKey(key) : firstOf(candidates(table, generated))
    return chosen(table, { ...best, wholeOldRows: false, insertsOnly })
  }
  const identity = identityOf(table, generated)
  if (identity.kind === 'none') {
    const sql = replicaIdentityFullSql(table)
    return { refusal: REPLICA_IDENTITY_MISSING({ tables: identity.lacking.map(sqlName), sql }) }
  }
  if (identity.kind === 'full') {
    const best = key ? userKey(key) : firstOf(candidates(table, generated))
    return chosen(table, { ...best, wholeOldRows: true, insertsOnly })
  }
  const contained = ({ columns }: Candidate) => columns.every((name) => identity.columns.includes(name))
  if (key !== undefined) {
    if (contained(userKey(key))) return chosen(table, { ...userKey(key), wholeOldRows: false, insertsOnly })
    return { refusal: outsideIdentity(table, key, identity.columns) }
  }
  const best = candidates(table, generated).find(contained)
  if (best !== undefined) return chosen(table, { ...best, wholeOldRows: false, insertsOnly })
  // Leaves whose identities differ, so that no key of the root is in all of them.
  const sql = replicaIdentityFullSql(table)
  return { refusal: REPLICA_IDENTITY_MISSING({ tables: [sqlName(table)], sql }) }
}

export interface KeyPolicy {
  readonly key?: readonly string[] | undefined
  /** What to do with a table whose updates and deletes cannot be keyed, or would fail once published. */
  readonly keyless: 'refuse' | 'inserts' | 'skip'
  readonly generated?: GeneratedColumns
  /** As a number: 170010. */
  readonly serverVersion: number
}

/** Why a table cannot be published with its updates that has no identity of its own: `keyless: skip` leaves it out. */
export function hasNoIdentity(refusal: TailraceError): boolean {
  return REPLICA_IDENTITY_MISSING.is(refusal) || GENERATED_COLUMN_IN_IDENTITY.is(refusal)
}

/** {@link chooseKey}, falling back to inserts only where that was asked for; never harms the application. */
export function chooseKeyByPolicy(table: KeyFacts, policy: KeyPolicy): KeyChoice {
  const { key, keyless, generated = 'none' } = policy
  const refusal = harm(table, generated, policy.serverVersion)
  const choice = refusal === undefined ? chooseKey(table, { key, generated }) : { refusal }
  if ('chosen' in choice || keyless !== 'inserts') return choice
  return chooseKey(table, { key, generated, insertsOnly: true })
}

function harm(table: KeyFacts, generated: GeneratedColumns, serverVersion: number): TailraceError | undefined {
  if (serverVersion < 180000) return undefined
  const column = refusedGeneratedColumn(table, generated)
  if (column === undefined) return undefined
  const sql =
    column.generated === 'stored'
      ? 'ALTER PUBLICATION … SET (publish_generated_columns = stored);'
      : replicaIdentityDefaultSql(table)
  return GENERATED_COLUMN_IN_IDENTITY({ table: sqlName(table), column: quoteIdentifier(column.name), sql })
}

type Candidate = Pick<ChosenKey, 'columns' | 'origin'>

function userKey(columns: readonly string[]): Candidate {
  return { columns, origin: 'user' }
}

/** Keys that the table has by itself, the best first: primary key, identity index, unique indexes, short ones first. */
function candidates(table: KeyFacts, generated: GeneratedColumns): Candidate[] {
  const { primaryKey, identityColumns } = table
  const found: Candidate[] = []
  if (primaryKey !== undefined && !primaryKey.deferrable) {
    found.push({ columns: primaryKey.columns, origin: 'primary key' })
  }
  if (identityColumns !== undefined) found.push({ columns: identityColumns, origin: 'replica identity' })
  const unique = [...table.uniqueKeys].sort((a, b) => a.columns.length - b.columns.length)
  for (const { columns } of unique) found.push({ columns, origin: 'unique index' })
  return found.filter(({ columns }) => columns.every((name) => published(table, name, generated)))
}

function firstOf(found: readonly Candidate[]): Candidate {
  return found[0] ?? { columns: [], origin: 'none' }
}

function published(table: KeyFacts, name: string, generated: GeneratedColumns): boolean {
  const column = table.columns.find((one) => one.name === name)
  return column !== undefined && isPublished(column, generated)
}

function chosen(table: KeyFacts, key: Omit<ChosenKey, 'newPartitionsLackIdentity'>): KeyChoice {
  const inherits = table.primaryKey !== undefined && !table.primaryKey.deferrable
  const newPartitionsLackIdentity = table.kind === 'partitioned' && !inherits && !key.insertsOnly
  return { chosen: { ...key, newPartitionsLackIdentity } }
}

function outsideIdentity(table: KeyFacts, key: readonly string[], identity: readonly string[]): TailraceError {
  return KEY_OUTSIDE_IDENTITY({
    table: sqlName(table),
    key: key.map(quoteIdentifier).join(', '),
    identity: identity.map(quoteIdentifier).join(', '),
    sql: replicaIdentityFullSql(table),
  })
}
