import type { LettersAnswer, LetterWhole, ReplayAnswer } from '../src/homes/pipeline/http/deadLetterAnswers.js'
import type { ApiError, Status } from '../src/homes/pipeline/status/status.js'

/** Without an answer in this time the process counts as out of reach. */
const PATIENCE_MS = 6000
const TOKEN = 'tailrace-token'

/** What the process answered in place of what was asked for. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string

  constructor(status: number, { code, message, hint }: ApiError['error']) {
    super(message)
    this.status = status
    this.code = code
    this.hint = hint
  }
}

/** For as long as the tab is open. */
export function keepToken(token: string): void {
  sessionStorage.setItem(TOKEN, token)
}

export function readStatus(withHistory: boolean): Promise<Status> {
  return ask(`api/status${withHistory ? '' : '?history=0'}`, { signal: AbortSignal.timeout(PATIENCE_MS) })
}

export function pause(pipeline: string): Promise<Status> {
  return post('api/pause', { pipeline })
}

export function resume(pipeline: string): Promise<Status> {
  return post('api/resume', { pipeline })
}

export function resnapshot(pipeline: string, table: string, where: string): Promise<unknown> {
  const condition = where.trim() === '' ? {} : { where: where.trim() }
  return post('api/signal', { pipeline, command: 'resnapshot', table, ...condition })
}

export function listLetters(pipeline: string): Promise<LettersAnswer> {
  return ask(`api/dlq?${new URLSearchParams({ pipeline, limit: '50' })}`)
}

export function readLetter(pipeline: string, sink: string, number: string): Promise<LetterWhole> {
  return ask(`api/dlq/letter?${new URLSearchParams({ pipeline, sink, number })}`)
}

/** Without a sink all letters, without a number all of the sink. */
export interface Which {
  readonly sink?: string
  readonly number?: string
}

export function replayLetters(
  pipeline: string,
  which: Which & { readonly force?: boolean; readonly dropSuperseded?: boolean },
): Promise<ReplayAnswer> {
  return post('api/dlq/replay', { pipeline, ...which })
}

export function dropLetters(pipeline: string, which: Which): Promise<unknown> {
  return post('api/dlq/drop', { pipeline, ...which })
}

function post<Answer>(path: string, body: object): Promise<Answer> {
  return ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

async function ask<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  const headers = new Headers(init.headers)
  const token = sessionStorage.getItem(TOKEN)
  if (token !== null) headers.set('authorization', `Bearer ${token}`)
  const response = await fetch(path, { ...init, headers, cache: 'no-store' })
  const answer = await response.json().catch(() => undefined)
  if (response.ok) return answer as Answer
  const { error } = (answer ?? {}) as Partial<ApiError>
  const nothing = { code: String(response.status), message: `the answer was ${response.status}`, hint: '' }
  throw new Refusal(response.status, error ?? nothing)
}
