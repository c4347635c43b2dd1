const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** No control character: a line break would begin another header. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** Made for each request, or the connection's own. */
const OURS = [
  ...[
    'content-length',
    'content-encoding',
    'transfer-encoding',
    'connection',
    'keep-alive',
    'expect',
    'upgrade',
    'te',
    'trailer',
  ],
  ...['idempotency-key', 'webhook-id', 'webhook-timestamp', 'webhook-signature'],
  ...['tailrace-records', 'tailrace-operation', 'tailrace-schema', 'tailrace-table'],
]

/** What is wrong with headers of a user; undefined: nothing. Says no value. */
export function problemOfHeaders(headers: Readonly<Record<string, string | number>>): string | undefined {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (!NAME.test(name)) return `${JSON.stringify(name)} is no name of a header`
    if (OURS.includes(lower)) return `${name} is set by the sink itself`
    if (seen.has(lower)) return `${name} stands there twice`
    seen.add(lower)
    if (!VALUE.test(String(value)))
      return `the value of ${name} has a character that no header can have, such as a line break`
  }
  return undefined
}
