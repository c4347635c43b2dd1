import { nameOf, type PgType } from '../../src/postgres/catalog/types.js'

/**
 * The slow twin of codec/json: the same map from the server's text to JSON, over strings, by recursion, with a list of
 * characters where the codec has offsets. It knows nothing of options, and stops at malformed text with any error.
 */
export function slowJson(type: PgType, text: string): string {
  switch (type.kind) {
    case 'scalar':
      return slowScalar(nameOf(type), text)
    case 'hstore':
      return slowHstore(text)
    case 'array':
      if (type.vector)
        return `[${text
          .split(' ')
          .filter(Boolean)
          .map((word) => slowJson(type.element, word))}]`
      return slowArray(text.replace(/^\[.*?=/, ''), String.fromCharCode(type.delimiter), (item) =>
        slowJson(type.element, item),
      )
    case 'composite': {
      const fields = type.fields.length === 0 ? [] : splitRecord(text)
      const json = type.fields.map((field, i) => {
        const value = fields[i] ?? null
        return `${JSON.stringify(field.name)}:${value === null ? 'null' : slowJson(field.type, value)}`
      })
      return `{${json}}`
    }
  }
}

function slowScalar(name: string, text: string): string {
  if (name === 'bool') return String(text === 't')
  if (/^(int\d|numeric|float\d|jsonb?)$/.test(name) && !/^(NaN|-?Infinity)$/.test(text)) {
    return text.replaceAll(/[\r\n]/g, ' ')
  }
  if (name === 'timestamp') return JSON.stringify(text.replace(' ', 'T'))
  if (name === 'timestamptz') return JSON.stringify(text.replace(' ', 'T').replace(/[+-]\d\d(?= BC$|$)/, '$&:00'))
  return JSON.stringify(text)
}

function slowArray(text: string, delimiter: string, element: (text: string) => string): string {
  let json = ''
  for (const rest = [...text]; rest.length > 0; ) {
    const next = rest.shift()!
    if (next === '{') json += '['
    else if (next === '}') json += ']'
    else if (next === delimiter) json += ','
    else if (next === '"') json += element(takeQuoted(rest))
    else {
      let word = next
      while (rest[0] !== delimiter && rest[0] !== '}') word += rest.shift()!
      json += word === 'NULL' ? 'null' : element(word)
    }
  }
  return json
}

/** The characters up to the closing quote, which is taken too. */
function takeQuoted(rest: string[]): string {
  let text = ''
  for (let next = rest.shift()!; next !== '"' || rest[0] === '"'; next = rest.shift()!) {
    if (next === undefined) throw new Error('no closing quote')
    text += next === '\\' || next === '"' ? rest.shift()! : next
  }
  return text
}

function splitRecord(text: string): (string | null)[] {
  const fields: (string | null)[] = []
  const rest = [...text.slice(1)]
  while (rest.length > 0) {
    let field: string | null = null
    while (rest[0] !== ',' && rest[0] !== ')') {
      const next = rest.shift()!
      field = (field ?? '') + (next === '"' ? takeQuoted(rest) : next)
    }
    fields.push(field)
    rest.shift()
  }
  return fields
}

function slowHstore(text: string): string {
  const pairs = [...text.matchAll(/("(?:[^"\\]|\\.)*")=>(NULL|"(?:[^"\\]|\\.)*")(?:, |$)/gs)]
  const string = (quoted: string) => JSON.stringify(quoted.slice(1, -1).replaceAll(/\\(.)/gs, '$1'))
  return `{${pairs.map(([, key, value]) => `${string(key!)}: ${value === 'NULL' ? 'null' : string(value!)}`).join(', ')}}`
}
