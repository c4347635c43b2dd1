/** A dead letter without its record. */
export interface LetterLine {
  readonly sink: string
  readonly number: string
  /** ISO 8601. */
  readonly at: string
  /** The record's. */
  readonly id: string
  /** The table that it was for. */
  readonly target: string
  readonly sqlstate: string | null
  readonly problem: string
  readonly operation: string
  /** As JSON, cut where it is long; empty: the record has none. */
  readonly key: string
  /** What to do. */
  readonly hint: string
}

/** The answer of `GET /api/dlq`. */
export interface LettersAnswer {
  readonly letters: readonly LetterLine[]
  /** There are more behind these. */
  readonly more: boolean
}

/** The answer of `GET /api/dlq/letter`. */
export interface LetterWhole extends LetterLine {
  /** A line of JSON, as text: its numbers may have more digits than a reader of JSON keeps. */
  readonly record: string
}

export interface KeptLetter {
  readonly sink: string
  readonly number: string
  readonly id: string
  readonly code: string
  readonly message: string
  readonly hint: string
}

/** The answer of `POST /api/dlq/replay`. */
export interface ReplayAnswer {
  readonly results: readonly {
    readonly sink: string
    readonly written: number
    /** Older than what the source has. */
    readonly superseded: number
    readonly failed: number
  }[]
  /** The first of those that stay. */
  readonly kept: readonly KeptLetter[]
}
