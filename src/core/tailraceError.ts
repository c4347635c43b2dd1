/** Who can mend it: `later` trying again may help, `operator` somebody must act first, `never` it is our fault. */
export type Retry = 'later' | 'operator' | 'never'

/** What a row of the error table says. `message` gets the facts of one occurrence. */
export interface ErrorDefinition<Details extends object> {
  readonly retry: Retry
  readonly message: (details: Details) => string
  readonly hint: string | ((details: Details) => string)
}

/**
 * Every failure that a user can meet. `code` is stable and stands in docs/errors.md, `message` says what is, `hint`
 * what to do next, `details` are the facts, and `cause` keeps the server's or Node's own error whole.
 */
export class TailraceError extends Error {
  override readonly name = 'TailraceError'
  readonly code: string
  readonly hint: string
  readonly retry: Retry
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    hint: string,
    retry: Retry,
    details: Readonly<Record<string, unknown>>,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.code = code
    this.hint = hint
    this.retry = retry
    this.details = details
  }
}

/** A constructor of one row of the table, which also tells whether an error is of that row. */
export interface DefinedError<Details extends object> {
  (details: Details, options?: ErrorOptions): TailraceError
  readonly code: string
  readonly definition: ErrorDefinition<Details>
  is(error: unknown): error is TailraceError
}

/** Every error defined so far, by code: what docs/errors.md is made from. */
export const definedErrors = new Map<string, DefinedError<never>>()

/** Adds a row to the error table. A code is never used twice, nor again after it was retired. */
export function defineError<Details extends object>(
  code: string,
  definition: ErrorDefinition<Details>,
): DefinedError<Details> {
  if (definedErrors.has(code)) throw new Error(`error code ${code} is defined twice`)
  const make = (details: Details, options?: ErrorOptions) => {
    const hint = typeof definition.hint === 'string' ? definition.hint : definition.hint(details)
    return new TailraceError(
      code,
      definition.message(details),
      hint,
      definition.retry,
      { ...details } as Record<string, unknown>,
      options,
    )
  }
  const defined = Object.assign(make, {
    code,
    definition,
    is: (error: unknown): error is TailraceError => error instanceof TailraceError && error.code === code,
  })
  definedErrors.set(code, defined as unknown as DefinedError<never>)
  return defined
}
