import { randomUUID } from 'node:crypto'

/** No data can know it: what begins with it stands for an integer. */
const MARK = `${randomUUID()}:`
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** JSON.parse, in which integers beyond 2^53 keep their digits: they are bigint. Throws SyntaxError. */
export function parseBigJson(text: string): unknown {
  const marked = text.replace(TOKENS, (token) => (isBig(token) ? `"${MARK}${token}"` : token))
  if (marked === text) return JSON.parse(text)
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  )
}

function isBig(token: string): boolean {
  return /^-?[1-9]\d*$/.test(token) && !Number.isSafeInteger(Number(token))
}
