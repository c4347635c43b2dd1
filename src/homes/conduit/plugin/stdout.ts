import { writeSync } from 'node:fs'

const STDOUT = 1

/**
 * Standard output belongs to the handshake: whatever else would be printed there, by us or a library, goes to standard
 * error. To be called before anything else is loaded.
 */
export function takeStdout(): void {
  process.stdout.write = process.stderr.write.bind(process.stderr)
}

/** Past all that: the handshake, or what was asked for by hand. */
export function printOut(text: string): void {
  writeSync(STDOUT, text)
}
