import { Worker } from 'node:worker_threads'

/**
 * Kills the process as soon as the file is written: for files that are there for a millisecond, in which no event comes
 * through. A thread looks without pause until it is disposed of.
 */
export function killWhenWritten(path: string, pid: number): AsyncDisposable {
  const worker = new Worker(`(${look.toString()})()`, { eval: true, workerData: { path, pid } })
  return { [Symbol.asyncDispose]: async () => void (await worker.terminate()) }
}

/** Run from its source text: nothing outside may be named in it. */
function look(): void {
  const { statSync } = process.getBuiltinModule('node:fs')
  const { workerData } = process.getBuiltinModule('node:worker_threads')
  const { path, pid } = workerData as { path: string; pid: number }
  const written = () => statSync(path, { throwIfNoEntry: false })?.mtimeMs
  const before = written()
  for (;;) {
    const now = written()
    if (now === undefined || now === before) continue
    process.kill(pid, 'SIGKILL')
    return
  }
}
