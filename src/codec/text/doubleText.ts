/** A double in the server's words, with its sign. */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}
