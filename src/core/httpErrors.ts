import { defineError } from './tailraceError.js'

// ── At the start ────────────────────────────────────────────────────────────────────────────────────────────────────

export const HTTP_ADDRESS_INVALID = defineError('HTTP_ADDRESS_INVALID', {
  retry: 'operator',
  message: (e: { address: string }) => `${JSON.stringify(e.address)} is no address to listen at over HTTP`,
  hint: 'Write --http 127.0.0.1:8080, [::1]:8080, or a port alone, which is one of 127.0.0.1.',
})

export const HTTP_TOKEN_MISSING = defineError('HTTP_TOKEN_MISSING', {
  retry: 'operator',
  message: (e: { address: string }) =>
    `${e.address} can be reached from other machines, and there is no token that they have to know`,
  hint: 'Put a random text of at least 16 characters into a file and name it with --http-token-file (or set TAILRACE_HTTP_TOKEN); or listen at 127.0.0.1.',
})

export const HTTP_TOKEN_UNFIT = defineError('HTTP_TOKEN_UNFIT', {
  retry: 'operator',
  message: (e: { problem: string }) => `the token of the HTTP interface cannot be used: ${e.problem}`,
  hint: 'It has 16 to 1,000 characters from the visible ones of ASCII, as "openssl rand -hex 32" makes it.',
})

export const HTTP_LISTEN_FAILED = defineError('HTTP_LISTEN_FAILED', {
  retry: 'operator',
  message: (e: { address: string; problem: string }) => `cannot listen at ${e.address} over HTTP: ${e.problem}`,
  hint: 'Give --http another address or port, or end what listens there.',
})

export const HTTP_APART = defineError('HTTP_APART', {
  retry: 'operator',
  message: (e: { one: string; other: string }) =>
    `${e.one} and ${e.other} run in one process, which has one HTTP interface, and say different things of it`,
  hint: 'Give --http (and its token) on the command line, or the same http, http_token and http_token_file in all files that have them.',
})

// ── Of one request ──────────────────────────────────────────────────────────────────────────────────────────────────

export const REQUEST_FORBIDDEN = defineError('REQUEST_FORBIDDEN', {
  retry: 'never',
  message: (e: { problem: string }) => `the request is refused: ${e.problem}`,
  hint: 'Open the page under the address that the run has told, such as http://127.0.0.1:8080/. Behind a proxy of another name set a token. docs/http.md has the rules.',
})

export const REQUEST_UNAUTHORIZED = defineError('REQUEST_UNAUTHORIZED', {
  retry: 'operator',
  message: (e: { problem: string }) => e.problem,
  hint: 'Send the token of the run as "Authorization: Bearer TOKEN".',
})

export const REQUEST_NOT_FOUND = defineError('REQUEST_NOT_FOUND', {
  retry: 'never',
  message: (e: { problem: string }) => e.problem,
  hint: 'docs/http.md has every path; GET /api/status has the names of the pipelines.',
})

export const REQUEST_INVALID = defineError('REQUEST_INVALID', {
  retry: 'never',
  message: (e: { problem: string }) => `the request cannot be understood: ${e.problem}`,
  hint: 'docs/http.md has what each path takes.',
})

export const REQUEST_TOO_MANY = defineError('REQUEST_TOO_MANY', {
  retry: 'later',
  message: (e: { limit: number }) => `${e.limit} such requests are under way already`,
  hint: 'Ask again when one of them is done.',
})
