import { applyModifier, castTo } from './casts.js'
import { ExpressionProblem } from './problem.js'
import { strict, type Typed } from './typed.js'
import { parseValue, type SqlType, TYPE_NAMES } from './types.js'

/** The names by which the grammar knows our types. */
const TYPES: Readonly<Record<string, SqlType>> = {
  bool: 'bool',
  int2: 'int2',
  int4: 'int4',
  int8: 'int8',
  numeric: 'numeric',
  float4: 'float4',
  float8: 'float8',
  text: 'text',
  varchar: 'text',
  bpchar: 'bpchar',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  uuid: 'uuid',
  bytea: 'bytea',
  json: 'json',
}

/** The type that is called so in SQL; undefined: it cannot be cast to here. */
export function typeNamed(name: string): SqlType | undefined {
  return Object.hasOwn(TYPES, name) ? TYPES[name] : undefined
}

/** `part::type(modifiers)`. */
export function castExplicitly(part: Typed, type: SqlType, modifiers: readonly number[] = []): Typed {
  const modify = applyModifier(type, modifiers)
  if (modify === undefined) throw new ExpressionProblem(`${TYPE_NAMES[type]} takes no such modifier here`, part.at)
  if (part.type === 'any') return { ...part, type }
  if (part.literal !== undefined) {
    const value = parseValue(type, part.literal)
    if (value === undefined) {
      throw new ExpressionProblem(`${JSON.stringify(part.literal)} is no ${TYPE_NAMES[type]}`, part.at)
    }
    return { type, evaluate: strict(() => value, modify), at: part.at }
  }
  if (part.type === 'unknown') return { ...part, type }
  const cast = castTo(part.type, type)
  if (cast === undefined) {
    throw new ExpressionProblem(`${TYPE_NAMES[part.type]} cannot be cast to ${TYPE_NAMES[type]} here`, part.at)
  }
  return { type, evaluate: strict(part.evaluate, (value) => modify(cast(value))), at: part.at }
}
