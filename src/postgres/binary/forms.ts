import type { PgType } from '../catalog/types.js'

// What the values of a column are in COPY's binary format.

/** The same bytes as in text. */
export const BINARY_TEXT = 0
export const BINARY_BOOL = 1
export const BINARY_INT2 = 2
export const BINARY_INT4 = 3
export const BINARY_INT8 = 4
export const BINARY_FLOAT4 = 5
export const BINARY_FLOAT8 = 6
export const BINARY_NUMERIC = 7
export const BINARY_DATE = 8
export const BINARY_TIME = 9
export const BINARY_TIMESTAMP = 10
export const BINARY_TIMESTAMPTZ = 11
export const BINARY_UUID = 12
export const BINARY_BYTEA = 13
/** The text behind a byte that says 1. */
export const BINARY_JSONB = 14

/** Bytes of a value; 0: as many as it takes. By form. */
export const BINARY_WIDTHS = Int32Array.of(0, 1, 2, 4, 8, 4, 8, 0, 4, 8, 8, 8, 16, 0, 0)

const BY_OID: ReadonlyMap<number, number> = new Map([
  [16, BINARY_BOOL],
  [21, BINARY_INT2],
  [23, BINARY_INT4],
  [20, BINARY_INT8],
  [700, BINARY_FLOAT4],
  [701, BINARY_FLOAT8],
  [1700, BINARY_NUMERIC],
  [1082, BINARY_DATE],
  [1083, BINARY_TIME],
  [1114, BINARY_TIMESTAMP],
  [1184, BINARY_TIMESTAMPTZ],
  [2950, BINARY_UUID],
  [17, BINARY_BYTEA],
  [3802, BINARY_JSONB],
  // text, varchar, bpchar, name, json
  ...[25, 1043, 1042, 19, 114].map((oid) => [oid, BINARY_TEXT] as const),
])

/** Undefined: of a type whose binary form is not read here. */
export function binaryFormOf(type: PgType | undefined): number | undefined {
  if (type?.kind !== 'scalar') return undefined
  return type.variety === 'enum' ? BINARY_TEXT : BY_OID.get(type.oid)
}
