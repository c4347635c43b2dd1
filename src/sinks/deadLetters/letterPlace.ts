import type { DestinationOptions } from '../../destination/options.js'

/** Where a sink's dead letters are kept. */
export type LetterPlace =
  /** Absolute. */
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'table'; readonly url: string | undefined; readonly schema: string; readonly source: string }

/** Of a sink that puts aside what it rejects itself, in its own database. */
export interface OwnLetters {
  readonly place: LetterPlace & { readonly kind: 'table' }
  /** How it writes. */
  readonly destination: DestinationOptions
}
