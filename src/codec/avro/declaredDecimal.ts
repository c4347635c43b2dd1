import type { Column } from '../../core/table.js'
import { NUMERIC } from '../builtin.js'

/** Of a numeric. */
export interface Decimal {
  readonly precision: number
  readonly scale: number
}

const NUMERIC_ARRAY = 1231
const VARHDRSZ = 4
const DECLARED = /^(?:pg_catalog\.)?numeric\((\d+),(-?\d+)\)$/

/**
 * Precision and scale of a numeric column, or of the elements of an array of them, where Avro's decimal has them too:
 * PostgreSQL 15 and later take scales below 0 and above the precision, which Conduit passes over without a word.
 */
export function declaredDecimal(column: Column): Decimal | undefined {
  const decimal = declared(column)
  return decimal === undefined || decimal.scale < 0 || decimal.scale > decimal.precision ? undefined : decimal
}

function declared({ typeOid, typmod, origin }: Column): Decimal | undefined {
  if (typeOid !== NUMERIC && typeOid !== NUMERIC_ARRAY) return ofDomain(origin)
  if (typmod < VARHDRSZ) return undefined
  // numerictypmodin: the precision above 16 bits, the scale in eleven, in two's complement
  const packed = typmod - VARHDRSZ
  return { precision: packed >> 16, scale: ((packed & 0x7ff) ^ 0x400) - 0x400 }
}

/** A domain's column has no typmod of its own: its base has, in the last of the domains that it is made of. */
function ofDomain(origin: Column['origin']): Decimal | undefined {
  const types = origin?.types ?? []
  let domain = types.at(-1)
  for (let depth = 0; depth <= types.length && domain?.kind === 'domain'; depth++) {
    const { base } = domain
    const match = DECLARED.exec(base)
    if (match !== null) return { precision: Number(match[1]), scale: Number(match[2]) }
    domain = types.find(({ schema, name }) => base === `${schema}.${name}` || base === name)
  }
  return undefined
}
