/** Other names of types, as people, drivers and pg_type write them, to `format_type`'s. */
const ALIASES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int: 'integer',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  smallserial: 'smallint',
  serial: 'integer',
  serial4: 'integer',
  bigserial: 'bigint',
  serial8: 'bigint',
  float: 'double precision',
  float4: 'real',
  float8: 'double precision',
  double: 'double precision',
  decimal: 'numeric',
  varchar: 'character varying',
  char: 'character',
  bpchar: 'character',
  string: 'text',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  time: 'time without time zone',
  timetz: 'time with time zone',
}

/** Whether `written` may mean the type that `format_type` prints so. What only information_schema says means any such type. */
export function isSameType(written: string, typeName: string): boolean {
  const [one, other] = [plain(written), plain(typeName)]
  if (one === 'user-defined') return !other.endsWith('[]')
  if (one === 'array') return other.endsWith('[]')
  return one === other || one === other.slice(other.indexOf('.') + 1)
}

/** In lower case, without length, precision and quotes. */
function plain(name: string): string {
  const lower = name.trim().toLowerCase().replaceAll('"', '')
  const isArray = /\[\d*\]$/.test(lower) || /^_/.test(lower)
  const bare = lower
    .replace(/(\[\d*\])+$/, '')
    .replace(/^_/, '')
    .replace(/\s*\([^)]*\)/, '')
    .replace(/^pg_catalog\./, '')
    .trim()
  return `${ALIASES[bare] ?? bare}${isArray ? '[]' : ''}`
}
