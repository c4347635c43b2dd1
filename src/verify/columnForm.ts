/** The facts of a column that decide how its values are put into SQL. */
export interface FormedColumn {
  readonly typeOid: number
  readonly notNull: boolean
}

/**
 * What of a column is hashed, on both sides alike. Two values of a form are alike if and only if they print alike:
 * - `int`: the number, whatever its width;
 * - `text`: the bytes, whatever the column's collation;
 * - `native`: the value itself, since no two values of the type that print differently count as equal (as 1.0 and 1.00
 *   do, or 0 and -0), and both columns have the type;
 * - `printed`: the text that the type's output function gives.
 */
export type Form = 'int' | 'text' | 'native' | 'printed'

const INTEGERS = [20, 21, 23]
const TEXTS = [25, 1043]
/** bool, bytea, date, time, timestamp, timestamptz, uuid. */
const NATIVE = [16, 17, 1082, 1083, 1114, 1184, 2950]
/**
 * Types whose cast to text is their output function: those above but bool, then oid, json, float4, float8, interval,
 * numeric, jsonb. (bool, inet, char(n) and others have casts that print something else.)
 */
const CAST_PRINTS = new Set([...INTEGERS, ...TEXTS, ...NATIVE.slice(1), 26, 114, 700, 701, 1186, 1700, 3802])

export function formOf(source: number, target: number): Form {
  if (INTEGERS.includes(source) && INTEGERS.includes(target)) return 'int'
  if (TEXTS.includes(source) && TEXTS.includes(target)) return 'text'
  return source === target && NATIVE.includes(source) ? 'native' : 'printed'
}

/** The column, under the name `sql`, as text: what the output function prints, NULL for NULL. */
export function printedSql(sql: string, { typeOid, notNull }: FormedColumn): string {
  if (CAST_PRINTS.has(typeOid)) return `${sql}::pg_catalog.text`
  const printed = `pg_catalog.concat(${sql})`
  // IS NOT NULL would be false of a composite value with a NULL in it.
  return notNull ? printed : `CASE WHEN ${sql} IS DISTINCT FROM NULL THEN ${printed} END`
}

/** The column as it is hashed. */
export function hashedSql(sql: string, column: FormedColumn, form: Form): string {
  switch (form) {
    case 'int':
      return `${sql}::pg_catalog.int8`
    case 'text':
      return `${sql}::pg_catalog.text COLLATE pg_catalog."C"`
    case 'native':
      return sql
    case 'printed':
      return `(${printedSql(sql, column)}) COLLATE pg_catalog."C"`
  }
}
