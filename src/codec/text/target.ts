/** What a column takes, as far as the text of a value that comes from outside depends on it. */
export interface TextTarget {
  /** `bytea`: bytes are written in hex; `json`: lists and objects are JSON; `text`: anything else. Of an array, its elements. */
  readonly kind: 'bytea' | 'json' | 'text'
  readonly array: boolean
  /** What parts the elements of its arrays: `,` for all types but box. */
  readonly delimiter?: string
}
