import { TARGET_TYPE_MISSING } from '../core/destinationErrors.js'
import type { Column } from '../core/table.js'
import type { EnumDefinition, ExtensionType, UserType } from '../core/userType.js'
import { quoteIdentifier, quoteLiteral, sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'

/** The types of columns as the target has them, or will. */
export interface TypePlan {
  /** Make the types that are missing, in order. */
  readonly statements: readonly string[]
  /** Add the labels that enums lack: to be committed before they are used. */
  readonly labels: readonly string[]
  /** Schemas that these are in. */
  readonly schemas: readonly string[]
  /** A type as the source's `format_type` prints it, as SQL of the target. */
  readonly translate: (typeName: string) => string
}

interface Row {
  readonly schema: string
  readonly name: string
  readonly extension: string | null
  readonly labels: string[]
  readonly sql_name: string
}

const SQL = `
SELECT n.nspname AS schema,
       t.typname AS name,
       e.extname AS extension,
       ARRAY(SELECT l.enumlabel::pg_catalog.text FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid) AS labels,
       pg_catalog.format_type(t.oid, -1) AS sql_name
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
        AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
 WHERE t.typname = ANY ($1::pg_catalog.text[])`

/** What it takes that the target's `table` can have these columns, or the error that says which type cannot be made. */
export async function planTypes(queryable: Queryable, columns: readonly Column[], table: string): Promise<TypePlan> {
  const needed = columns.flatMap((column) => (column.origin?.types ?? []).map((type) => ({ column, type })))
  if (needed.length === 0) return { statements: [], labels: [], schemas: [], translate: (typeName) => typeName }
  const rows = await queryable.query<Row>(SQL, [needed.map(({ type }) => type.name)])
  const renamed: { readonly type: ExtensionType; readonly to: string }[] = []
  const translate = (typeName: string) => {
    for (const { type, to } of renamed) {
      const rest = typeName.slice(type.typeName.length)
      if (typeName.startsWith(type.typeName) && /^($|[([])/.test(rest)) return to + rest
    }
    return typeName
  }
  const statements: string[] = []
  const labels: string[] = []
  const schemas = new Set<string>()
  const done = new Set<string>()
  /** Multiranges, by the statements. */
  const made = new Set<string>()
  for (const { column, type } of needed) {
    const name = sqlName(type)
    if (done.has(name)) continue
    done.add(name)
    const missing = (what: string, sql: string) => {
      return TARGET_TYPE_MISSING({ table, column: quoteIdentifier(column.name), type: name, what, sql })
    }
    if (type.kind === 'extension') {
      const there = rows.find((row) => row.extension === type.extension && row.name === type.name)
      if (there === undefined) {
        const schema = quoteIdentifier(type.schema)
        const sql = `CREATE EXTENSION ${quoteIdentifier(type.extension)}${type.schema === 'pg_catalog' ? '' : ` SCHEMA ${schema}`};`
        throw missing(`of extension ${type.extension}`, sql)
      }
      renamed.push({ type, to: there.sql_name })
      continue
    }
    const there = rows.find((row) => row.schema === type.schema && row.name === type.name)
    if (there !== undefined) {
      if (type.kind === 'enum') labels.push(...additions(type, there.labels))
    } else {
      if (type.kind === 'other') {
        throw missing(type.what, `make it as it is at the source (pg_dump --schema-only prints the SQL).`)
      }
      if (type.kind === 'multirange') {
        // It comes with its range, if that is made here.
        if (made.has(name)) continue
        throw missing(
          `the multirange of ${sqlName(type.range)}`,
          `that range has one of another name: ALTER TYPE … RENAME TO ${quoteIdentifier(type.name)};`,
        )
      }
      statements.push(creation(type, translate))
      schemas.add(type.schema)
      if (type.kind !== 'range') continue
      made.add(sqlName(type.multirange))
      schemas.add(type.multirange.schema)
    }
  }
  return { statements, labels, schemas: [...schemas], translate }
}

/** Each behind the one that it follows at the source. */
function additions(type: EnumDefinition, there: readonly string[]): string[] {
  if (there.length === 0) return []
  return type.labels.flatMap((label, place) => {
    if (there.includes(label)) return []
    const first = type.labels.find((one) => there.includes(one))
    const after = type.labels[place - 1]
    const where =
      after !== undefined
        ? ` AFTER ${quoteLiteral(after)}`
        : first === undefined
          ? ''
          : ` BEFORE ${quoteLiteral(first)}`
    return [`ALTER TYPE ${sqlName(type)} ADD VALUE IF NOT EXISTS ${quoteLiteral(label)}${where}`]
  })
}

function creation(
  type: Exclude<UserType, { kind: 'extension' | 'other' | 'multirange' }>,
  translate: (typeName: string) => string,
): string {
  const name = sqlName(type)
  switch (type.kind) {
    case 'enum':
      return `CREATE TYPE ${name} AS ENUM (${type.labels.map(quoteLiteral).join(', ')})`
    case 'domain': {
      const { base, collate, notNull, checks } = type
      const constraints = [...(notNull ? ['NOT NULL'] : []), ...checks].map((one) => ` ${one}`).join('')
      return `CREATE DOMAIN ${name} AS ${translate(base)}${collate}${constraints}`
    }
    case 'composite': {
      const fields = type.fields.map((field) => `${quoteIdentifier(field.name)} ${translate(field.typeName)}`)
      return `CREATE TYPE ${name} AS (${fields.join(', ')})`
    }
    case 'range': {
      const parts = [`SUBTYPE = ${translate(type.subtype)}`, `MULTIRANGE_TYPE_NAME = ${sqlName(type.multirange)}`]
      return `CREATE TYPE ${name} AS RANGE (${[...parts, ...type.options].join(', ')})`
    }
  }
}
