import type { Letter, LetterFilter } from './letter.js'

/** What became of a letter that was to be written again. */
export interface NewCause {
  readonly problem: string
  readonly sqlstate: string | undefined
}

/** The dead letters of one sink, whoever adds to them meanwhile. */
export interface LetterBox extends AsyncDisposable {
  /** For people: the file, or the table and its host. Never with a password. */
  readonly place: string
  /** In their order, one at a time; none that a run may still take back. */
  letters(filter: LetterFilter): AsyncIterable<Letter>
  /** Undefined: there is no such letter, or no more. */
  find(number: string): Promise<Letter | undefined>
  /**
   * From now on these two may be called; nobody else takes letters out until it is disposed of. Errors: DEAD_LETTERS_BUSY.
   */
  claim(): Promise<void>
  /** It is no longer among them, durably when {@link settle} has resolved. */
  remove(letter: Letter): Promise<void>
  /** It stays, with another reason. */
  keep(letter: Letter, cause: NewCause): Promise<void>
  settle(): Promise<void>
}
