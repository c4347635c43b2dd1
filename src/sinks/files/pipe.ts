import { fstatSync } from 'node:fs'

const STDOUT = 1

/** Whether standard output is a pipe, a socket or a terminal: something whose reader may not read. */
export function stdoutMayBlock(): boolean {
  const stat = fstatSync(STDOUT)
  return stat.isFIFO() || stat.isSocket() || process.stdout.isTTY === true
}

/**
 * Writes to such a standard output; resolves when the system has taken all of it. By Node's own stream, whose handle
 * does not block: a write that waits in the thread pool would keep even `process.exit` waiting for the reader.
 */
export function writeToStdout(parts: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const stdout = process.stdout
    // Without a listener the stream's error would end the process before its promise is rejected.
    if (stdout.listenerCount('error') === 0) stdout.on('error', () => {})
    stdout.cork()
    const last = parts.length - 1
    for (const [index, part] of parts.entries()) {
      if (index < last) stdout.write(part)
      else stdout.write(part, (error) => (error ? reject(error) : resolve()))
    }
    stdout.uncork()
    if (last < 0) resolve()
  })
}
