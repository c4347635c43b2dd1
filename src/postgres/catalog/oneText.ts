/**
 * Built-in types of which equal values have one text: bool, bytea, "char", name, int8, int2, int4, text, oid, varchar,
 * date, time, timestamp, timestamptz, timetz, uuid, macaddr, macaddr8, inet, cidr. Not numeric (1.0 and 1.00), floats
 * (0 and -0), interval (1 day and 24 hours), jsonb, arrays.
 */
const ONE_TEXT = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 1043, 1082, 1083, 1114, 1184, 1266, 2950, 829, 774, 869, 650,
])
const BPCHAR = 1042

/** Whether values of the type that are equal, by a deterministic collation, have one text. */
export function hasOneText(type: number, typmod: number): boolean {
  // Blanks at the end count for nothing: with a length they are always there.
  return ONE_TEXT.has(type) || (type === BPCHAR && typmod > 0)
}
