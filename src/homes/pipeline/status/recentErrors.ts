import { type ErrorStatus, MOST_ERRORS } from './status.js'

/** Of a message of the server, that may hold a whole row. */
const MOST_TEXT = 2000

/** What went wrong lately, the newest first. What comes again, as a sink that is tried without end, is one of them, and counted. */
export class RecentErrors {
  #errors: ErrorStatus[] = []

  add(facts: Pick<ErrorStatus, 'severity' | 'where' | 'retryAt'>, error: unknown, at: Date): ErrorStatus {
    const told = textsOf(error)
    const before = this.#errors.find(({ where, code, message }) => {
      return where === facts.where && code === told.code && message === told.message
    })
    const added = { at: at.toISOString(), ...facts, ...told, count: (before?.count ?? 0) + 1 }
    this.#errors = [added, ...this.#errors.filter((one) => one !== before)].slice(0, MOST_ERRORS)
    return added
  }

  /** Nothing there is tried again: it goes on, or has ended. */
  settled(where: string): void {
    this.#errors = this.#errors.map((one) => (one.where === where ? { ...one, retryAt: null } : one))
  }

  get list(): readonly ErrorStatus[] {
    return this.#errors
  }
}

function textsOf(error: unknown): Pick<ErrorStatus, 'code' | 'message' | 'hint'> {
  const { code, message, hint } = error as {
    readonly code?: unknown
    readonly message?: unknown
    readonly hint?: unknown
  }
  return {
    code: typeof code === 'string' && typeof hint === 'string' ? code : 'INTERNAL',
    message: short(typeof message === 'string' ? message : String(error)),
    hint: typeof hint === 'string' ? short(hint) : '',
  }
}

function short(text: string): string {
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text
}
