/**
 * When a test fails inside an `await using` scope, what it leaves behind makes the scope's end fail as well, and the
 * language wraps both into a SuppressedError that vitest prints as a dump. The first failure is the one to read: here
 * it stays the test's error, and the second becomes a line of its message.
 */
function keepFirstError(disposal: unknown, first: unknown): Error {
  const error = first instanceof Error ? first : new Error(String(first))
  error.message += `\n(and then the end of its scope failed: ${disposal instanceof Error ? disposal.message : disposal})`
  return error
}

Object.defineProperty(globalThis, 'SuppressedError', { value: keepFirstError, configurable: true, writable: true })
