import type { Values } from './values.js'

export const CHANNEL_BINDINGS = ['disable', 'prefer', 'require'] as const
export type ChannelBinding = (typeof CHANNEL_BINDINGS)[number]

/** As `require_auth` names them. */
const METHODS = ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth', 'none'] as const
export type LoginMethod = (typeof METHODS)[number]

const SCRAM = 'SCRAM-SHA-256'
const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS'

/** What the server wants to know: each as its authentication request. */
export type LoginRequest =
  | { readonly method: 'password' | 'md5' }
  | { readonly method: 'sasl'; readonly mechanisms: readonly string[] }

/** Which ways to log in are accepted ("require_auth" in the PostgreSQL docs); undefined: all. */
export function readRequireAuth(values: Values): ReadonlySet<LoginMethod> | undefined {
  const text = values.filled('require_auth')
  if (text === undefined) return undefined
  const entries = text.split(',').map((entry) => entry.trim())
  const negated = entries.filter((entry) => entry.startsWith('!')).length
  if (negated !== 0 && negated !== entries.length) {
    throw values.wrong('require_auth', 'has ways to log in with and without "!"')
  }
  const named = entries.map((entry) => entry.replace(/^!/, ''))
  const unknown = named.some((name) => !METHODS.some((method) => method === name))
  if (unknown) throw values.wrong('require_auth', `is no list of ${METHODS.join(', ')}`)
  if (new Set(named).size !== named.length) throw values.wrong('require_auth', 'names one way twice')
  return new Set(METHODS.filter((method) => named.includes(method) === (negated === 0)))
}

/**
 * Follows one login and says what must not go on: before anything that proves the password is sent, and again when the
 * server says that we are in.
 */
export class LoginPolicy {
  readonly #binding: ChannelBinding
  readonly #accepted: ReadonlySet<LoginMethod> | undefined
  readonly #encrypted: boolean
  #method: LoginMethod = 'none'
  #bound = false
  /** SCRAM is begun; until its end the server has not proved that it knows the password. */
  #unproved = false

  constructor(binding: ChannelBinding, accepted: ReadonlySet<LoginMethod> | undefined, encrypted: boolean) {
    this.#binding = binding
    this.#accepted = accepted
    this.#encrypted = encrypted
  }

  /** What is wrong with the server's request; undefined when it may be answered. */
  asked(request: LoginRequest): string | undefined {
    this.#method = request.method === 'sasl' ? 'scram-sha-256' : request.method
    if (request.method === 'sasl') {
      const { mechanisms } = request
      if (!mechanisms.includes(SCRAM) && !mechanisms.includes(SCRAM_PLUS)) {
        return `the server asks for a login by ${mechanisms.join(' or ')}, which tailrace cannot do`
      }
      this.#bound = this.#binding !== 'disable' && mechanisms.includes(SCRAM_PLUS)
      this.#unproved = true
    }
    return this.#notAccepted(`asks for ${NAMES[this.#method]}`) ?? this.#notBound(`asks for ${NAMES[this.#method]}`)
  }

  /** The server has proved by SCRAM that it knows the password. */
  proved(): void {
    this.#unproved = false
  }

  /** What is wrong with being let in now. */
  letIn(): string | undefined {
    if (this.#unproved) return 'the server let us in without proving that it knows the password'
    const how = this.#method === 'none' ? 'let us in without a password' : `let us in by ${NAMES[this.#method]}`
    return this.#notAccepted(how) ?? this.#notBound(how)
  }

  #notAccepted(how: string): string | undefined {
    if (this.#accepted === undefined || this.#accepted.has(this.#method)) return undefined
    return `require_auth accepts ${[...this.#accepted].join(', ')} only, and the server ${how}`
  }

  #notBound(how: string): string | undefined {
    if (this.#binding !== 'require' || this.#bound) return undefined
    const why = this.#encrypted ? `and the server ${how} without it` : 'and the connection has no TLS'
    return `channel_binding=require wants a login by ${SCRAM_PLUS}, ${why}`
  }
}

const NAMES: Readonly<Record<string, string>> = {
  password: 'the password in clear',
  md5: 'the password hashed by MD5',
  'scram-sha-256': SCRAM,
}
