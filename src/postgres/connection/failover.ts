import pg from 'pg'
import { CONNECTION_FAILED, CONNECTIONS_EXHAUSTED, LOGIN_REFUSED } from '../../core/errors.js'
import { TailraceError } from '../../core/tailraceError.js'
import type { Queryable } from '../queryable.js'
import { describeCause, fromDriver, serverError } from '../serverError.js'
import { addressesOf, describeHost, type Host, isSocket, shuffled } from './hosts.js'
import type { TargetSession } from './targetSession.js'
import { misfit, roundsOf } from './targetSession.js'
import type { SslMode } from './tlsParameters.js'
import { TlsError } from './transport.js'

/** The part of a connection's parameters that says where to try, and in which order. */
export interface FailoverOptions {
  readonly hosts: readonly Host[]
  readonly drawsHosts: boolean
  readonly target: TargetSession
  readonly tls: { readonly mode: SslMode }
  readonly connectTimeoutMs: number
}

/** One way to one server. */
export interface Attempt {
  readonly host: Host
  readonly address: string
  readonly encrypted: boolean
  /** The server has no TLS, and the attempt goes on without: there is no other one to be made. */
  readonly onPlain: () => void
  /** Aborts at the time limit, or when the caller gives up. */
  readonly signal: AbortSignal
}

interface Openable extends Queryable {
  close(): Promise<void>
  destroy(): void
}

/** `ERRCODE_CANNOT_CONNECT_NOW`: the one refusal for which libpq goes on to the next host. */
const CANNOT_CONNECT_NOW = '57P03'
const TOO_MANY_CONNECTIONS = '53300'

/**
 * Opens a session on the first server that answers and fits, as libpq does ("Specifying Multiple Hosts"): hosts in
 * order, every address of each, with the fallbacks of `sslmode`. A server that cannot be reached, is starting or stopping,
 * or is not what `target_session_attrs` wants, is passed over; one that refuses the login, or whose TLS does not hold,
 * ends it. The error names each server with its own reason. `to` describes the whole connection.
 */
export async function openFirst<S extends Openable>(
  options: FailoverOptions,
  to: string,
  open: (attempt: Attempt) => Promise<S>,
  signal: AbortSignal | undefined,
): Promise<S> {
  const failures = new Failures(to, options.hosts)
  for (const target of roundsOf(options.target)) {
    for (const host of inOrder(options.hosts, options.drawsHosts)) {
      signal?.throwIfAborted()
      let addresses: readonly string[] = []
      try {
        addresses = inOrder(await withSignal(addressesOf(host), signal), options.drawsHosts)
      } catch (cause) {
        signal?.throwIfAborted()
        failures.add(host, cause)
      }
      for (const address of addresses) {
        try {
          return await tryAddress(options, host, address, target, open, signal)
        } catch (cause) {
          signal?.throwIfAborted()
          failures.add(host, cause)
          if (endsIt(cause)) throw failures.error()
        }
      }
    }
  }
  throw failures.error()
}

/** With and without TLS, in libpq's order. */
async function tryAddress<S extends Openable>(
  { tls, connectTimeoutMs }: FailoverOptions,
  host: Host,
  address: string,
  target: Exclude<TargetSession, 'prefer-standby'>,
  open: (attempt: Attempt) => Promise<S>,
  signal: AbortSignal | undefined,
): Promise<S> {
  const limit = new AbortController()
  const timeout = () => limit.abort(new Error(`timeout expired: no answer in ${connectTimeoutMs / 1000} s`))
  const timer = connectTimeoutMs > 0 ? setTimeout(timeout, connectTimeoutMs) : undefined
  const giveUp = () => limit.abort(signal!.reason)
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    let refused: unknown
    let isPlain = false
    const onPlain = () => {
      isPlain = true
    }
    for (const encrypted of encryptions(tls.mode, host)) {
      try {
        const session = await open({ host, address, encrypted, onPlain, signal: limit.signal })
        await checkFit(session, target, limit.signal)
        return session
      } catch (cause) {
        if (limit.signal.aborted) throw limit.signal.reason
        // What the server itself says tells more than that it has no TLS.
        const tells = !(cause instanceof TlsError)
        if (refused === undefined || (tells && !(refused instanceof pg.DatabaseError))) refused = cause
        if (isPlain || !mayTryOtherwise(cause)) break
      }
    }
    throw refused
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  }
}

async function checkFit(
  session: Openable,
  target: Exclude<TargetSession, 'prefer-standby'>,
  signal: AbortSignal,
): Promise<void> {
  const cut = () => session.destroy()
  signal.addEventListener('abort', cut, { once: true })
  try {
    const problem = await misfit(session, target)
    if (problem === undefined) return
    await session.close()
    throw new Misfit(`${problem} (target_session_attrs=${target})`)
  } catch (cause) {
    session.destroy()
    throw cause
  } finally {
    signal.removeEventListener('abort', cut)
  }
}

class Misfit extends Error {}

function encryptions(mode: SslMode, host: Host): readonly boolean[] {
  if (isSocket(host) || mode === 'disable') return [false]
  if (mode === 'allow') return [false, true]
  if (mode === 'prefer') return [true, false]
  return [true]
}

/** As libpq: a login refused may be let in by another line of pg_hba.conf, and TLS that fails be done without. */
function mayTryOtherwise(cause: unknown): boolean {
  if (cause instanceof pg.DatabaseError) return /^28/.test(cause.code ?? '')
  return cause instanceof TlsError
}

function endsIt(cause: unknown): boolean {
  if (cause instanceof pg.DatabaseError) return cause.code !== CANNOT_CONNECT_NOW
  // A cut connection says nothing of the next host; the rest are ours: a login that is not safe, a file unreadable.
  return (cause instanceof TlsError && !cause.cut) || (cause instanceof TailraceError && cause.retry !== 'later')
}

/** What became of each server. */
class Failures {
  readonly #to: string
  readonly #several: boolean
  readonly #reasons = new Map<string, Set<string>>()
  #last: unknown
  #server: pg.DatabaseError | undefined

  constructor(to: string, hosts: readonly Host[]) {
    this.#to = to
    this.#several = hosts.length > 1
  }

  add(host: Host, cause: unknown): void {
    this.#last = cause
    if (cause instanceof pg.DatabaseError) this.#server = cause
    const name = describeHost(host)
    const reasons = this.#reasons.get(name) ?? new Set()
    this.#reasons.set(name, reasons.add(reasonOf(cause)))
  }

  error(): TailraceError {
    const [to, last] = [this.#to, this.#last]
    const problem = this.#problem()
    if (last instanceof TailraceError) return last
    const login = last instanceof pg.DatabaseError && /^(28|3D)/.test(last.code ?? '')
    if (login) return LOGIN_REFUSED({ to, problem }, { cause: last })
    const full = last instanceof pg.DatabaseError && last.code === TOO_MANY_CONNECTIONS
    if (full) return CONNECTIONS_EXHAUSTED({ to, problem }, { cause: last })
    if (last instanceof pg.DatabaseError && this.#several && endsIt(last)) {
      return serverError({ sqlstate: last.code ?? 'XX000', message: problem }, { cause: last })
    }
    if (this.#server !== undefined && !this.#several) return fromDriver(this.#server, to)
    return CONNECTION_FAILED({ to, problem }, { cause: last })
  }

  #problem(): string {
    const each = [...this.#reasons].map(([host, reasons]) => {
      const text = [...reasons].join('; ')
      return this.#several ? `${host}: ${text}` : text
    })
    return each.join('; ')
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof pg.DatabaseError) return `${cause.message} [SQLSTATE ${cause.code}]`
  return describeCause(cause)
}

function inOrder<T>(list: readonly T[], draws: boolean): readonly T[] {
  return draws ? shuffled(list) : list
}

/** DNS cannot be stopped: it is no longer waited for. */
async function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
