import type { TailraceError } from '../../../core/tailraceError.js'
import { replicaIdentityFullSql } from '../../../postgres/catalog/identity.js'
import {
  type ChosenKey,
  chooseKeyByPolicy,
  hasNoIdentity,
  type KeyChoice,
} from '../../../postgres/catalog/keyChoice.js'
import { readingObstacle } from '../../../postgres/catalog/readability.js'
import type { CatalogTable } from '../../../postgres/catalog/tables.js'
import { quoteIdentifier, sqlName } from '../../../postgres/identifier.js'
import { type DatabaseFacts, type DoctorFacts, errorOf, knownOf, type TableFacts } from '../facts.js'
import { advice, type Finding, option, sql, verdicts } from '../finding.js'

const { ok, problem, warning } = verdicts('tables')

/** Each named table: that it is there, can be read, and has what its updates and deletes need. */
export function tableFindings(facts: DoctorFacts): Finding[] {
  const { database } = facts
  const error = errorOf(database?.tables)
  if (error !== undefined) return [mistake(error)]
  const found = knownOf(database?.tables)
  const user = knownOf(database?.server)?.user
  if (found === undefined) return []
  return [
    ...found.mistakes.map(mistake),
    ...found.tables.flatMap((table) => [
      ...(user === undefined ? [] : readability(table, user)),
      keyOf(table, keyChoice(table, facts), facts),
      ...partitions(table, keyChoice(table, facts)),
    ]),
    ...toast(found, facts),
  ]
}

function mistake({ code, message, hint }: TailraceError): Finding {
  const why = 'A name that means nothing, or nothing that the server writes to its stream, ends a run at once.'
  return problem({ code, found: message, why, mend: [advice(hint)] })
}

function readability(table: CatalogTable, user: string): Finding[] {
  const granted = { schemaUsable: true, readable: true }
  const partitions = table.partitions.map((one) => ({ ...one, ...granted }))
  // Row security is looked at also where the privileges are missing, which would be told of first.
  const obstacles = [readingObstacle([table], user), readingObstacle([{ ...table, ...granted, partitions }], user)]
  const told = new Map(obstacles.filter((one) => one !== undefined).map((one) => [one.code, one]))
  if (told.size === 0) {
    const why = 'The snapshot reads the whole table, and locks it with LOCK TABLE … IN ACCESS SHARE MODE.'
    return [ok({ code: 'READABLE', found: `${sqlName(table)} can be read by role ${user}`, why })]
  }
  return [...told.values()].map(({ code, message, details }) =>
    problem({
      code,
      found: message,
      why:
        code === 'ROW_SECURITY_ACTIVE'
          ? 'The snapshot would lack rows that the stream has.'
          : 'The snapshot reads the whole table; a privilege on some columns does not do.',
      mend: [
        sql(String(details.sql)),
        advice(
          code === 'ROW_SECURITY_ACTIVE'
            ? 'As a superuser; or connect as the owner of the tables, to whom it does not apply unless it is forced.'
            : "As the table's owner or a superuser.",
        ),
      ],
    }),
  )
}

/** The key that a run takes for the table, or why it refuses it. */
export function keyChoice(table: CatalogTable, { database, wishes }: DoctorFacts): KeyChoice {
  return chooseKeyByPolicy(table, {
    key: knownOf(database?.tables)?.keys.get(table.oid),
    keyless: wishes.keyless,
    generated: generatedColumns(database),
    serverVersion: knownOf(database?.server)?.version ?? 0,
  })
}

/** A publication of ours carries them where the server can; one that is there already may not. */
function generatedColumns(database: DatabaseFacts | undefined) {
  const version = knownOf(database?.server)?.version ?? 0
  return knownOf(database?.publications)?.all?.generatedColumns ?? (version >= 180000 ? 'stored' : 'none')
}

function keyOf(table: CatalogTable, choice: KeyChoice, facts: DoctorFacts): Finding {
  const code = 'KEY'
  const name = sqlName(table)
  const why = 'An update or delete carries of the old row what the replica identity says, and nothing else.'
  if ('refusal' in choice && facts.wishes.keyless === 'skip' && hasNoIdentity(choice.refusal)) {
    return warning({
      code: 'KEYLESS_SKIPPED',
      found: `${name}: will be left out`,
      why: 'It has no replica identity: in a publication of updates its UPDATE and DELETE would fail.',
      mend: [sql(replicaIdentityFullSql(table)), advice('Then it can be captured.')],
    })
  }
  if ('refusal' in choice) return refused(table, choice.refusal, why, facts)
  const { chosen } = choice
  if (chosen.insertsOnly) {
    return warning({
      code: 'KEYLESS_INSERTS',
      found: `${name}: only inserts and truncates will be captured (${describeKey(chosen)})`,
      why: 'It has no replica identity: in a publication of updates its UPDATE and DELETE would fail.',
      mend: [sql(replicaIdentityFullSql(table)), advice('Then its updates and deletes can be captured too.')],
    })
  }
  return ok({ code, found: `${name}: ${describeKey(chosen)}; replica identity ${identity(table)}`, why })
}

function describeKey({ columns, origin }: ChosenKey): string {
  if (columns.length === 0) return 'no key'
  const from = origin === 'user' ? 'as given' : `its ${origin}`
  return `key (${columns.map(quoteIdentifier).join(', ')}), ${from}`
}

function identity({ replicaIdentity, identityColumns, partitions }: CatalogTable): string {
  const own =
    replicaIdentity === 'index' ? `index (${identityColumns?.map(quoteIdentifier).join(', ')})` : replicaIdentity
  const others = new Set(partitions.map((leaf) => leaf.replicaIdentity).filter((one) => one !== replicaIdentity))
  return others.size === 0 ? own : `${own}, of partitions also ${[...others].join(', ')}`
}

function refused(table: CatalogTable, refusal: TailraceError, why: string, facts: DoctorFacts): Finding {
  const { code, message, hint, details } = refusal
  const { primaryKey } = table
  const deferrable =
    primaryKey?.deferrable === true
      ? `; its primary key ${quoteIdentifier(primaryKey.name)} is deferrable, and so is none`
      : ''
  const publication = knownOf(facts.database?.publications)?.all
  const named =
    publication === undefined ? 'ALTER PUBLICATION …' : `ALTER PUBLICATION ${quoteIdentifier(publication.name)}`
  const statements =
    typeof details.sql === 'string' ? details.sql.replace('ALTER PUBLICATION …', () => named) : undefined
  return problem({
    code,
    found: message + deferrable,
    why,
    mend:
      statements === undefined
        ? [advice(hint)]
        : [sql(statements), option('--keyless inserts, to capture its inserts and truncates only')],
  })
}

function partitions(table: CatalogTable, choice: KeyChoice): Finding[] {
  if (table.kind !== 'partitioned') return []
  const name = sqlName(table)
  const findings: Finding[] = []
  if ('chosen' in choice && choice.chosen.newPartitionsLackIdentity) {
    findings.push(
      warning({
        code: 'NEW_PARTITIONS_LACK_IDENTITY',
        found: `new partitions of ${name} will have no replica identity`,
        why: 'A primary key is inherited by new partitions, a replica identity is not: UPDATE and DELETE on them will fail.',
        mend: [
          sql(`ALTER TABLE ${name} ADD PRIMARY KEY (…);`),
          advice('Or run ALTER TABLE … REPLICA IDENTITY FULL on each new partition.'),
        ],
      }),
    )
  }
  const silent = table.partitions.filter((leaf) => leaf.kind === 'foreign table' || leaf.persistence !== 'permanent')
  if (silent.length > 0) {
    const kinds = silent.map(
      (leaf) => `${sqlName(leaf)} (${leaf.kind === 'foreign table' ? leaf.kind : leaf.persistence})`,
    )
    findings.push(
      warning({
        code: 'PARTITION_NOT_PUBLISHED',
        found: `changes of partitions of ${name} are never sent: ${kinds.join(', ')}`,
        why: 'The server writes only permanent tables of its own to the stream; a snapshot reads the others all the same.',
        mend: silent
          .filter((leaf) => leaf.persistence === 'unlogged')
          .map((leaf) => sql(`ALTER TABLE ${sqlName(leaf)} SET LOGGED;`)),
      }),
    )
  }
  return findings
}

/** One finding for all tables: most have such columns. */
function toast({ tables, capture }: TableFacts, facts: DoctorFacts): Finding[] {
  const found = tables.flatMap((table) => {
    const choice = keyChoice(table, facts)
    if (!('chosen' in choice) || choice.chosen.wholeOldRows || choice.chosen.insertsOnly) return []
    const columns = (capture.get(table.oid)?.toastable ?? []).filter((name) => !table.identityColumns?.includes(name))
    return columns.length === 0 ? [] : [{ table, columns }]
  })
  const code = 'TOAST'
  if (found.length === 0) {
    const judged = tables.every((table) => 'chosen' in keyChoice(table, facts))
    if (tables.length === 0 || !judged) return []
    return [ok({ code, found: 'every update carries all values', why: 'No long value is left out of the stream.' })]
  }
  const names = found.map(({ table, columns }) => `${sqlName(table)} (${columns.map(quoteIdentifier).join(', ')})`)
  return [
    warning({
      code,
      found: `long values may be missing from updates of ${names.join(', ')}`,
      why: 'A value stored out of line (TOAST) that an UPDATE leaves alone is not sent: the column is absent from `after`, and named in `unchanged`.',
      mend: [
        advice(
          'Nothing, if what consumes the records keeps the old value of columns named in `unchanged`, or if they are read from the table (--toast fetch). Else:',
        ),
        sql(found.map(({ table }) => replicaIdentityFullSql(table)).join(' ')),
      ],
    }),
  ]
}
