/** What an answer means: all of it was taken; try again; a record is not wanted; nothing is; it is elsewhere. */
export type Verdict = 'delivered' | 'again' | 'record' | 'endpoint' | 'redirect'

/** Of these 4xx another try may be taken: a request that came too slowly or too early, or one too many. */
const AGAIN = [408, 425, 429]
/** Whoever asks for more patience than this is asked sooner. */
const MOST_WAIT_MS = 3_600_000

export function verdictOf(status: number, endpointStatuses: readonly number[]): Verdict {
  if (status >= 200 && status < 300) return 'delivered'
  if (endpointStatuses.includes(status)) return 'endpoint'
  if (status >= 300 && status < 400) return 'redirect'
  return status >= 500 || AGAIN.includes(status) ? 'again' : 'record'
}

/** `Retry-After`, in milliseconds from `now`: seconds, or a date. Undefined: nothing of the kind. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  const until = /^\d+$/.test(text) ? now + Number(text) * 1000 : Date.parse(text)
  return Number.isNaN(until) ? undefined : Math.min(MOST_WAIT_MS, Math.max(0, until - now))
}

const SHOWN = 200

/** The beginning of a body, in one line, without what must not be printed. */
export function shownBody(bytes: Uint8Array, secrets: readonly string[]): string {
  let text = Buffer.from(bytes).toString()
  for (const secret of secrets) text = text.replaceAll(secret, '***')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: whoever answers must not write on a terminal.
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f\ufffd]+/g, ' ').trim()
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line
}
