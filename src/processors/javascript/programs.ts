import { createRequire } from 'node:module'
import { GUEST_SOURCE } from './guestSource.js'
import { SANDBOX_SOURCE } from './sandboxSource.js'
import { WORKER_SOURCE } from './workerSource.js'

export interface ThreadLimits {
  /** For one record. */
  readonly timeoutMs: number
  /** Of the heap in which the function lives. */
  readonly memoryMb: number
}

/** What a thread runs, and what it is given. */
export interface ThreadProgram {
  readonly source: string
  readonly data: Readonly<Record<string, unknown>>
  readonly heapMb: number
  /** It ends late records itself, and is ended when it has not so long after. */
  readonly graceMs: number
}

/** A user's module: the path of its file, or itself. */
export type UserModule = { readonly file: string } | { readonly code: string }

/** The module in Node.js itself, at `url`. */
export function plainProgram(url: string, { memoryMb }: ThreadLimits): ThreadProgram {
  return { source: WORKER_SOURCE, data: { url }, heapMb: memoryMb, graceMs: 0 }
}

const LIBRARY = 'quickjs-emscripten'

/** How to get what a sandbox needs; undefined: it is there. */
export function missingForSandbox(): string | undefined {
  return libraryPath() === undefined ? `npm install ${LIBRARY}@0.32` : undefined
}

/** The module in an engine of its own. */
export function sandboxProgram(module: UserModule, limits: ThreadLimits): ThreadProgram {
  return {
    source: SANDBOX_SOURCE,
    data: { library: libraryPath(), guest: GUEST_SOURCE, ...module, ...limits },
    // The engine's memory is outside of the thread's heap, in which its records are read and written.
    heapMb: 3 * limits.memoryMb + 64,
    graceMs: 5000,
  }
}

function libraryPath(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(LIBRARY)
  } catch {
    return undefined
  }
}
