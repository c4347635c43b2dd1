import { GENERATED_COLUMN_IN_IDENTITY, REPLICA_IDENTITY_MISSING } from '../../../core/errors.js'
import type { CatalogTable } from '../../../postgres/catalog/tables.js'
import { quoteIdentifier, sqlName } from '../../../postgres/identifier.js'
import { createPublicationSql, type Publication, type PublishedOperations } from '../../../postgres/publication.js'
import { checkPublication, type PublicationFinding } from '../../../postgres/publicationCheck.js'
import { DEFAULT_PUBLICATION } from '../../publications.js'
import { type DoctorFacts, errorOf, knownOf } from '../facts.js'
import { advice, type Finding, type Mend, option, sql, verdicts } from '../finding.js'
import { keyChoice } from './tables.js'

const { ok, problem, warning } = verdicts('publication')

const JUDGES = 'The server sends a change only if the publication carries its table and operation.'

/** The publications that a run would use: whether they fit, or whether it may make them. */
export function publicationFindings(facts: DoctorFacts): Finding[] {
  const { database, wishes } = facts
  const error = errorOf(database?.publications)
  if (error !== undefined) {
    return [problem({ code: 'PUBLICATION', found: error.message, why: JUDGES, mend: [advice(error.hint)] })]
  }
  const there = knownOf(database?.publications)
  const server = knownOf(database?.server)
  if (database === undefined || there === undefined || server === undefined) return []
  const { keyed, inserts } = split(facts)
  const findings: Finding[] = []
  const missing: Wanted[] = []
  const look = (publication: Publication | undefined, wanted: Wanted) => {
    if (publication === undefined) missing.push(wanted)
    else findings.push(...judge(publication, wanted, facts))
  }
  const name = wishes.publication ?? DEFAULT_PUBLICATION
  // Without tables it is only asked whether a run could make the publication.
  if (keyed.length > 0 || inserts.length === 0) look(there.all, { name, tables: keyed, operations: 'all' })
  if (inserts.length > 0) {
    look(there.inserts, { name: `${name}_inserts`, tables: inserts, operations: 'inserts' })
  }
  if (missing.length > 0) findings.push(...mayMake(facts, missing, server.version))
  return findings
}

interface Wanted {
  readonly name: string
  readonly tables: readonly CatalogTable[]
  readonly operations: PublishedOperations
}

/** As a run does; a table that it refuses is told of among the tables, and its coverage all the same. */
function split(facts: DoctorFacts): { keyed: CatalogTable[]; inserts: CatalogTable[] } {
  const tables = knownOf(facts.database?.tables)?.tables ?? []
  const isInserts = (table: CatalogTable) => {
    const choice = keyChoice(table, facts)
    return 'chosen' in choice && choice.chosen.insertsOnly
  }
  return { keyed: tables.filter((table) => !isInserts(table)), inserts: tables.filter(isInserts) }
}

function judge(publication: Publication, { tables, operations }: Wanted, facts: DoctorFacts): Finding[] {
  const name = quoteIdentifier(publication.name)
  const all = checkPublication(publication, { tables, operations })
  const missing = all.find(({ kind }) => kind === 'tables missing')?.tables ?? []
  const published = tables.filter((table) => !missing.includes(sqlName(table)))
  // What is not in it does no harm yet.
  const found = [
    ...all.filter(({ kind }) => !HARMS.includes(kind)),
    ...checkPublication(publication, { tables: published, operations }).filter(({ kind }) => HARMS.includes(kind)),
  ]
  if (found.length === 0) {
    const carries = tables.length === 0 ? 'is there' : `carries ${tables.map(sqlName).join(', ')}`
    return [ok({ code: 'PUBLICATION', found: `publication ${name} ${carries}`, why: JUDGES })]
  }
  const absent = tables.filter((table) => missing.includes(sqlName(table)))
  const first = refusedFirst(absent, facts)
  return found.map(
    (one) => restricts(one, name) ?? unfit(one, publication, one.kind === 'tables missing' ? first : undefined),
  )
}

const HARMS: readonly PublicationFinding['kind'][] = ['replica identity missing', 'generated column unpublished']

/** To publish such a table makes the application's UPDATE and DELETE fail. */
function refusedFirst(tables: readonly CatalogTable[], facts: DoctorFacts) {
  const refused = tables.filter((table) => {
    const choice = keyChoice(table, facts)
    return (
      'refusal' in choice &&
      (REPLICA_IDENTITY_MISSING.is(choice.refusal) || GENERATED_COLUMN_IN_IDENTITY.is(choice.refusal))
    )
  })
  if (refused.length === 0) return undefined
  const names = refused.map(sqlName).join(', ')
  return advice(`First give ${names} what is missing above: else UPDATE and DELETE fail there.`)
}

/** Somebody's choice, which holds for the snapshot too. */
function restricts({ kind, message, sql: statements }: PublicationFinding, name: string): Finding | undefined {
  if (kind !== 'row filter' && kind !== 'column list') return undefined
  return warning({
    code: kind === 'row filter' ? 'PUBLICATION_ROW_FILTER' : 'PUBLICATION_COLUMN_LIST',
    found: `publication ${name}: ${message}`,
    why: 'What the publication leaves out is captured neither by the stream nor by the snapshot.',
    mend: [advice('Nothing, if that is meant. Else:'), sql(statements)],
  })
}

function unfit(finding: PublicationFinding, { name, owner }: Publication, first?: Mend): Finding {
  const { kind, message, sql: statements, alters } = finding
  const altering = alters === 'publication'
  return problem({
    code: `PUBLICATION_${kind.toUpperCase().replaceAll(' ', '_')}`,
    found: `publication ${quoteIdentifier(name)}: ${message}`,
    why: alters === 'table' ? 'The UPDATE and DELETE of the application fail.' : JUDGES,
    mend: [
      first,
      sql(statements),
      altering
        ? advice(`As ${quoteIdentifier(owner)}, the owner of the publication, and owner of the tables.`)
        : undefined,
      altering ? option('--manage-publication, to have tailrace do so, with the same rights') : undefined,
    ],
  })
}

function mayMake(facts: DoctorFacts, missing: readonly Wanted[], serverVersion: number): Finding[] {
  const { database, wishes } = facts
  const server = knownOf(database!.server)!
  const surroundings = knownOf(database!.surroundings)
  const capture = knownOf(database!.tables)?.capture
  const why = 'It takes CREATE on the database and ownership of the tables.'
  const role = quoteIdentifier(server.user)
  const owned = (table: CatalogTable) => server.superuser || capture?.get(table.oid)?.owned === true
  const foreign = missing.flatMap(({ tables }) => tables).filter((table) => !owned(table))
  const findings: Finding[] = []
  if (server.inRecovery) {
    const mend = [
      advice('On the primary run:'),
      ...missing.map(({ name, tables, operations }) =>
        sql(createPublicationSql({ name, tables, operations, serverVersion })),
      ),
    ]
    const found = `publication ${missing.map(({ name }) => quoteIdentifier(name)).join(', ')} is missing, and a standby cannot make it`
    return [problem({ code: 'PUBLICATION_ON_STANDBY', found, why: JUDGES, mend })]
  }
  if (surroundings?.mayCreate === false) {
    findings.push(
      problem({
        code: 'PUBLICATION_CREATE',
        found: `role ${role} may not create publications in database ${server.database}`,
        why,
        mend: [sql(`GRANT CREATE ON DATABASE ${quoteIdentifier(server.database)} TO ${role};`)],
      }),
    )
  }
  if (foreign.length > 0) {
    const owners = [...new Set(foreign.map(({ owner }) => quoteIdentifier(owner)))]
    const all = missing.flatMap(({ tables }) => tables)
    findings.push(
      problem({
        code: 'PUBLICATION_OWNER',
        found: `role ${role} does not own ${foreign.map(sqlName).join(', ')}, and so cannot publish ${foreign.length === 1 ? 'it' : 'them'}`,
        why,
        mend: [
          advice('As the owner make the publication beforehand, and name it with --publication:'),
          refusedFirst(all, facts),
          ...missing.map(({ name, tables, operations }) =>
            sql(createPublicationSql({ name, tables, operations, serverVersion })),
          ),
          advice(`Or connect as a member of ${owners.join(', ')}.`),
        ],
      }),
    )
  }
  if (findings.length > 0) return findings
  const names = missing.map(({ name }) => quoteIdentifier(name)).join(', ')
  const found =
    wishes.publication === undefined
      ? 'a run may make a publication of its own, which goes at its end'
      : `publication ${names} does not exist yet: the first run makes it`
  return [ok({ code: 'PUBLICATION', found, why })]
}
