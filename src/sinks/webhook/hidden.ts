import { decoded } from './httpClient.js'

const LEAST = 6
/** Shorter parts of a path are words, such as those of an API. */
const LEAST_OF_PATH = 8

/** What of an endpoint's settings must not be printed, should an answer have it; the longest first, since one may be part of another. */
export function hiddenOf(url: URL, headers: readonly string[], secrets: readonly string[]): readonly string[] {
  const words = headers.map((value) => value.trim().split(/\s+/).at(-1)!)
  const parts = url.pathname.split('/').filter(({ length }) => length >= LEAST_OF_PATH)
  const values = url.search
    .slice(1)
    .split('&')
    .map((pair) => pair.slice(pair.indexOf('=') + 1))
  const written = [url.password, ...parts, ...values]
  const all = [...secrets, ...headers, ...words, ...written, ...written.map(decoded), ...url.searchParams.values()]
  return [...new Set(all)].filter(({ length }) => length >= LEAST).sort((a, b) => b.length - a.length)
}
