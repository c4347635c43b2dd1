/** FORCE_COLOR and NO_COLOR as everybody reads them; the rest is for Node to know of the terminal. */
export function wantsColour(
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'hasColors'>,
  { FORCE_COLOR, NO_COLOR }: NodeJS.ProcessEnv,
): boolean {
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  if (NO_COLOR) return false
  return stream.isTTY && stream.hasColors()
}
