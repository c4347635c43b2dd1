import type { KeyColumn } from '../../postgres/catalog/keyColumns.js'
import type { Queryable } from '../../postgres/queryable.js'
import { compareSql } from './compareSql.js'
import type { KeyText, Stretch } from './stretches.js'

const INT8 = 20
const INT2 = 21
const INT4 = 23
const OID = 26
const TEXT = 25
const VARCHAR = 1043
const UUID = 2950

/** More ranks are forgotten: they can be asked for again. */
const MAX_TOLD = 100_000

type Compare = (a: string, b: string) => number

/** How two keys stand to each other in the server's order; asks the server where only it knows. */
export class KeyOrder {
  readonly columns: readonly KeyColumn[]
  readonly #compares: readonly Compare[] | undefined
  /** Ranks that the server has told, for `#stretches`. */
  readonly #told = new Map<string, number>()
  #stretches: readonly Stretch[] | undefined

  constructor(columns: readonly KeyColumn[]) {
    this.columns = columns
    const compares = columns.map(compareOf)
    this.#compares = compares.every((compare) => compare !== undefined) ? compares : undefined
  }

  /** Whether ranks are known without asking. */
  get isKnown(): boolean {
    return this.#compares !== undefined
  }

  /** Whether two keys may be equal to the server though their texts differ. */
  get alike(): boolean {
    return this.columns.some(({ alike }) => alike === true)
  }

  /** Index of the stretch in which `key` lies; undefined: the server is to be asked. */
  rank(key: KeyText, stretches: readonly Stretch[]): number | undefined {
    const last = stretches.length - 1
    if (last === 0) return 0
    if (this.#compares === undefined) {
      return stretches === this.#stretches ? this.#told.get(keyId(key)) : undefined
    }
    let low = 0
    let high = last
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(key, stretches[middle]!.to!) <= 0) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Asks the server for the ranks of these keys among `stretches`, of which it is then known. */
  async ask(queryable: Queryable, keys: readonly KeyText[], stretches: readonly Stretch[]): Promise<void> {
    const { columns } = this
    const bounds = stretches.slice(0, -1).map(({ to }) => to!)
    const parts = columns.map((_, column) => [keys.map((key) => key[column]!), bounds.map((bound) => bound[column]!)])
    const names = (prefix: string) => columns.map((_, column) => `${prefix}${column}`).join(', ')
    const typed = (prefix: string) =>
      columns.map(({ typeName, collate }, column) => `${prefix}${column}::${typeName}${collate}`)
    const arrays = (offset: number) =>
      columns.map((_, column) => `pg_catalog.unnest($${2 * column + offset}::pg_catalog.text[])`).join(', ')
    const rows = await queryable.query<{ rank: number }>(
      `SELECT (SELECT pg_catalog.count(*)::pg_catalog.int4
                 FROM ROWS FROM (${arrays(2)}) AS b (${names('b')})
                WHERE ${compareSql(columns, typed('b'), '<', typed('k'))}) AS rank
         FROM ROWS FROM (${arrays(1)}) WITH ORDINALITY AS k (${names('k')}, place)
        ORDER BY place`,
      parts.flat(),
    )
    if (this.#stretches !== stretches || this.#told.size > MAX_TOLD) this.#told.clear()
    this.#stretches = stretches
    for (const [index, { rank }] of rows.entries()) this.#told.set(keyId(keys[index]!), rank)
  }

  #compare(a: KeyText, b: KeyText): number {
    const compares = this.#compares!
    for (let column = 0; column < compares.length; column++) {
      const order = compares[column]!(a[column]!, b[column]!)
      if (order !== 0) return order
    }
    return 0
  }
}

/** No text value holds a NUL. */
export function keyId(key: KeyText): string {
  return key.length === 1 ? key[0]! : key.join('\0')
}

function compareOf({ typeOid, byBytes }: KeyColumn): Compare | undefined {
  switch (typeOid) {
    case INT2:
    case INT4:
    case INT8:
    case OID:
      return compareIntegers
    case UUID:
      return (a, b) => (a < b ? -1 : a > b ? 1 : 0)
    case TEXT:
    case VARCHAR:
      return byBytes ? (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) : undefined
    default:
      return undefined
  }
}

/** Decimal texts without leading zeros, of up to 64 bits. */
function compareIntegers(a: string, b: string): number {
  if (a.length < 16 && b.length < 16) return Number(a) - Number(b)
  const one = BigInt(a)
  const other = BigInt(b)
  return one < other ? -1 : one > other ? 1 : 0
}
