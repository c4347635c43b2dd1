import { OUTPUT_CLOSED, OUTPUT_FAILED } from '../core/errors.js'

/** Writes a whole report to standard output; resolves when it is out, so that the process may end. */
export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.once('error', (cause) => reject(outputError(cause)))
    process.stdout.write(text, (cause) => (cause ? reject(outputError(cause)) : resolve()))
  })
}

/** What writing to standard output failed with, as an error of ours. */
export function outputError(cause: Error): Error {
  const name = 'standard output'
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return OUTPUT_CLOSED({ name }, { cause })
  return OUTPUT_FAILED({ name, problem: cause.message, errno: code }, { cause })
}
