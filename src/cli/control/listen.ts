import { once } from 'node:events'
import { lstatSync, mkdirSync, rmSync } from 'node:fs'
import { createConnection, type Server } from 'node:net'
import { CONTROL_FAILED, CONTROL_IN_USE, STATE_FAILED } from '../../core/errors.js'
import { StateLock } from '../../sinks/files/stateLock.js'
import type { SocketPlace } from './socketPath.js'

const ONLY_OWNER = 0o077
/** Somebody who listens is there at once; a run that is stopped (SIGSTOP) still has its place in the kernel's queue. */
const PROBE_MS = 2000

/**
 * Lets `server` listen there, for this user only. The socket of a run that was killed is taken over; one at which
 * somebody answers is not, nor any other kind of file. Gives the lock under which it was done.
 */
export async function listen(server: Server, place: SocketPlace): Promise<AsyncDisposable | undefined> {
  const { path } = place
  if (process.platform === 'win32') {
    await listening(server, path)
    return undefined
  }
  let lock: StateLock | undefined
  try {
    if (place.privateFolder !== undefined) makePrivate(place.privateFolder)
    // Of two that find the same dead socket one would remove what the other has just made.
    if (!place.locked) lock = await StateLock.take(path, CONTROL_IN_USE)
    await removeDead(path)
    await listening(server, path)
    return lock
  } catch (cause) {
    await lock?.[Symbol.asyncDispose]()
    if (CONTROL_IN_USE.is(cause)) throw cause
    const found = (STATE_FAILED.is(cause) ? cause.cause : cause) as Error
    throw CONTROL_FAILED({ path, problem: found.message }, { cause })
  }
}

async function listening(server: Server, path: string): Promise<void> {
  // Made with these permissions, not given them afterwards. Node binds within the call.
  const umask = process.umask(0o177)
  try {
    server.listen(path)
  } finally {
    process.umask(umask)
  }
  await once(server, 'listening')
}

/** A folder in which nobody else can have prepared anything. */
function makePrivate(folder: string): void {
  mkdirSync(folder, { mode: 0o700, recursive: true })
  const { mode, uid } = lstatSync(folder)
  if (uid !== process.getuid?.()) throw new Error(`the folder ${folder} belongs to another user`)
  if ((mode & ONLY_OWNER) !== 0) throw new Error(`the folder ${folder} is open to other users`)
}

async function removeDead(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) throw new Error('another file stands there')
  if (await answers(path)) throw CONTROL_IN_USE({ path, pid: undefined })
  rmSync(path)
}

/** Whether a process has this socket, and is there to be asked. */
async function answers(path: string): Promise<boolean> {
  const socket = createConnection(path)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(PROBE_MS) })
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return false
    throw error
  } finally {
    socket.destroy()
  }
}
