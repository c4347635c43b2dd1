import type { PgType } from '../../src/postgres/catalog/types.js'

/** A JavaScript value of ours as an input literal of its type: the way back, for tests of the way here. */
export function toLiteral(type: PgType, value: unknown): string {
  if (typeof value === 'string' && type.kind !== 'hstore') return value // text, or a composite of another shape
  switch (type.kind) {
    case 'array':
      return type.vector
        ? (value as number[]).join(' ')
        : arrayLiteral(type.element, type.delimiter, value as unknown[])
    case 'composite': {
      const object = value as Record<string, unknown>
      return `(${type.fields.map((field) => recordField(object[field.name], field.type)).join(',')})`
    }
    case 'hstore':
      return Object.entries(value as Record<string, string | null>)
        .map(([key, text]) => `${quote(key)}=>${text === null ? 'NULL' : quote(text)}`)
        .join(', ')
    case 'scalar':
      if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
      if (typeof value === 'object') return JSON.stringify(value)
      return Object.is(value, -0) ? '-0' : String(value)
  }
}

function arrayLiteral(element: PgType, delimiter: number, items: readonly unknown[]): string {
  const texts = items.map((item) => {
    if (item === null) return 'NULL'
    if (Array.isArray(item) && element.kind !== 'array') return arrayLiteral(element, delimiter, item) // a dimension
    return quote(toLiteral(element, item))
  })
  return `{${texts.join(String.fromCharCode(delimiter))}}`
}

function recordField(value: unknown, type: PgType): string {
  return value === null || value === undefined ? '' : quote(toLiteral(type, value))
}

/** In double quotes, with backslashes: array_in, record_in and hstore_in all take that. */
export function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
