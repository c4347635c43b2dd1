import type { KeyColumn } from '../postgres/catalog/keyColumns.js'
import { quoteIdentifier, sqlName } from '../postgres/identifier.js'
import { hashedSql, printedSql } from './columnForm.js'
import type { SideName } from './side.js'
import type { PairedColumn, TablePair } from './tablePair.js'

/**
 * How rows are hashed: `native` by the server's own hash of a record, which is several times faster than printing it;
 * `portable` by MD5 of what is printed, as UTF-8, where the two servers' hashes differ (other encodings, other byte orders).
 */
export type Hashing = 'native' | 'portable'

/** One side of a pair, in SQL. A row is `t`; a wanted key is `w (k0, k1, …)`, texts. */
export interface SideSql {
  /** `ONLY public.orders AS t` */
  readonly from: string
  /** int8. */
  readonly rowHash: string
  /** int8, of the key; without one of the row. */
  readonly bucketHash: string
  /** The key's columns as they print. */
  readonly printedKey: readonly string[]
  /** What is compared, as JSON: an array of texts and nulls. */
  readonly printedRow: string
  /** Whether row `t` has the key that prints like `texts`: found by an index where one can, then by what it prints. */
  readonly matches: (texts: readonly string[]) => string
}

/** `keyColumns` are those of this side, in key order. */
export function sideSql(
  pair: TablePair,
  name: SideName,
  { hashing, keyColumns }: { readonly hashing: Hashing; readonly keyColumns: readonly KeyColumn[] },
): SideSql {
  const table = pair[name]
  const from = `${table.kind === 'ordinary' ? 'ONLY ' : ''}${sqlName(table)} AS t`
  const printed = pair.columns.map((column) => printedSql(reference(column), column[name]))
  const printedKey = pair.key.map((column) => printedSql(reference(column), column[name]))
  const hashed = pair.columns.map((column) => hashedSql(reference(column), column[name], column.form))
  const rowHash =
    hashing === 'portable' ? md5Sql(printed) : `pg_catalog.hash_record_extended(ROW(${hashed.join(', ')}), 0)`
  return {
    from,
    rowHash,
    bucketHash: pair.key.length === 0 ? rowHash : hashing === 'portable' ? md5Sql(printedKey) : keyHash(pair, name),
    printedKey,
    printedRow: `pg_catalog.to_json(ARRAY[${printed.join(', ')}]::pg_catalog.text[])::pg_catalog.text`,
    matches: (texts) =>
      texts
        .flatMap((text, at) => [indexedSql(pair.key[at]!, keyColumns[at]!, text), isPrintedSql(printedKey[at]!, text)])
        .filter((condition) => condition !== undefined)
        .join(' AND '),
  }
}

function reference({ name }: PairedColumn): string {
  return `t.${quoteIdentifier(name)}`
}

/** Each column's hash seeds the next one's. A NULL, which only a user's own key can have, makes it NULL. */
function keyHash({ key }: TablePair, name: SideName): string {
  return key.reduce((seed, column) => {
    const sql = reference(column)
    if (column.form === 'int') return `pg_catalog.hashint8extended(${hashedSql(sql, column[name], 'int')}, ${seed})`
    if (column.form === 'native' && column.source.typeOid === UUID)
      return `pg_catalog.uuid_hash_extended(${sql}, ${seed})`
    const form = column.form === 'text' ? 'text' : 'printed'
    return `pg_catalog.hashtextextended(${hashedSql(sql, column[name], form)}, ${seed})`
  }, '0')
}

/** A NULL and an empty text print differently as parts of a record. */
function md5Sql(printed: readonly string[]): string {
  const bytes = `pg_catalog.convert_to(ROW(${printed.join(', ')})::pg_catalog.text, 'UTF8')`
  return `('x' || pg_catalog.substr(pg_catalog.md5(${bytes}), 1, 16))::pg_catalog.bit(64)::pg_catalog.int8`
}

/**
 * By the operators of the key's index where the text surely is a value of the column's type; that of an enum, a domain or
 * another type may be none on this side.
 */
function indexedSql(column: PairedColumn, key: KeyColumn, text: string): string | undefined {
  const sql = reference(column)
  if (column.form === 'int') return `${sql} OPERATOR(pg_catalog.=) ${text}::pg_catalog.int8`
  if (column.form === 'text') return `${sql} OPERATOR(pg_catalog.=) ${text}`
  if (column.source.typeOid !== column.target.typeOid || column.source.typeOid >= FIRST_USER_OID) return undefined
  return `${sql} OPERATOR(${quoteIdentifier(key.operators)}.=) ${text}::${key.typeName}`
}

/** Some types have equal values that print differently: 1.0 and 1.00. */
function isPrintedSql(printed: string, text: string): string {
  return `(${printed}) COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) ${text}`
}

const UUID = 2950
/** FirstNormalObjectId in access/transam.h: what initdb makes has lower ones, on every server of a major the same. */
const FIRST_USER_OID = 16384

/** `ROWS FROM (…) AS w (k0, k1)`: the keys given as an array of texts for each of their columns. */
export function wantedKeys(columns: number): string {
  const numbers = Array.from({ length: columns }, (_, at) => at)
  const arrays = numbers.map((at) => `pg_catalog.unnest($${at + 1}::pg_catalog.text[])`)
  return `ROWS FROM (${arrays.join(', ')}) AS w (${numbers.map((at) => `k${at}`).join(', ')})`
}
