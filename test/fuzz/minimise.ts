import type { FuzzInput } from './input.js'
import { outcomesOf } from './outcomes.js'

/** As few messages as still give that outcome, the last of them. */
export function minimise(input: FuzzInput, outcome: string): FuzzInput {
  const last = outcomesOf(input).indexOf(outcome)
  let messages = input.messages.slice(0, last + 1)
  if (input.target === 'copy') return { ...input, messages: messages.slice(-1) }
  for (let size = Math.ceil(messages.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at + size < messages.length; ) {
      const fewer = [...messages.slice(0, at), ...messages.slice(at + size)]
      if (outcomesOf({ ...input, messages: fewer }).at(-1) === outcome) messages = fewer
      else at += size
    }
  }
  return { ...input, messages }
}
