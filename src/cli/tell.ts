/** Says something on stderr, in one line: what the server says may have several. */
export function tell(text: string): void {
  process.stderr.write(`tailrace: ${text.replaceAll(/\s*\n\s*/g, ' ')}\n`)
}
