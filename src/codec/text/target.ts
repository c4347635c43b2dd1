import type { PgType } from '../../postgres/catalog/types.js'
import { BYTEA } from '../builtin.js'

/** What a column takes, as far as the text of a value that comes from outside depends on it. */
export interface TextTarget {
  /** `bytea`: bytes are written in hex; `json`: lists and objects are JSON; `text`: anything else. Of an array, its elements. */
  readonly kind: 'bytea' | 'json' | 'text'
  readonly array: boolean
  /** What parts the elements of its arrays: `,` for all types but box. */
  readonly delimiter?: string
  /** Of a composite what its fields take, in their order. Of an array, its elements'. */
  readonly fields?: readonly TextField[]
  /** Pairs of texts. */
  readonly hstore?: true
  /** Of json: a JSON string is that string, and not the JSON that its text may be. */
  readonly verbatim?: true
}

export interface TextField {
  readonly name: string
  readonly target: TextTarget
}

const JSON_TYPES: ReadonlySet<number> = new Set([114, 3802])

/** What a column of `type` takes. Domains are their base type there; int2vector and oidvector are text. */
export function textTarget(type: PgType, options: Pick<TextTarget, 'verbatim'> = {}): TextTarget {
  if (type.kind === 'array' && !type.vector) {
    const { kind, fields, hstore } = textTarget(type.element, options)
    return {
      ...(fields && { fields }),
      ...(hstore && { hstore }),
      ...(kind === 'json' && options),
      kind: type.element.kind === 'array' ? 'text' : kind,
      array: true,
      delimiter: String.fromCharCode(type.delimiter),
    }
  }
  if (type.kind === 'composite') {
    const fields = type.fields.map(({ name, type: field }) => ({ name, target: textTarget(field, options) }))
    return { kind: 'text', array: false, fields }
  }
  if (type.kind === 'hstore') return { kind: 'text', array: false, hstore: true }
  const kind = type.oid === BYTEA ? 'bytea' : JSON_TYPES.has(type.oid) ? 'json' : 'text'
  return { kind, array: false, ...(kind === 'json' && options) }
}
