import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { OPTION_INVALID } from '../../core/errors.js'

/** How a run, or whoever signals to it, names the run. */
export interface RunName {
  readonly control?: string | false | undefined
  readonly state?: string | undefined
  readonly slot?: string | undefined
}

/** Where a run listens. */
export interface SocketPlace {
  readonly path: string
  /** A folder that is ours alone, to be made first. */
  readonly privateFolder?: string
  /** The lock on the state keeps two runs from this place. */
  readonly locked: boolean
  /** Asked for by its path: a run that cannot have it does not begin. */
  readonly explicit: boolean
}

/** What sockaddr_un.sun_path holds before its NUL: 107 on Linux, 103 on macOS and the BSDs. */
export const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** The places that such a run may listen at, the likeliest first; none when it has no name to find it by. */
export function socketPlaces({ control, state, slot }: RunName): readonly SocketPlace[] {
  if (control === false) return []
  if (control !== undefined) return [{ path: explicitPath(control), locked: false, explicit: true }]
  const ofState = state === undefined ? [] : statePlaces(realPath(state))
  const ofSlot = slot === undefined ? [] : runtimePlaces('slot', slot)
  return [...ofState, ...ofSlot]
}

function statePlaces(state: string): readonly SocketPlace[] {
  const path = `${state}.sock`
  const fits = process.platform !== 'win32' && Buffer.byteLength(path) <= MAX_PATH_BYTES
  return fits ? [{ path, locked: true, explicit: false }] : runtimePlaces('state', state)
}

/** By a hash, since the name may be of any length, and hold what a file's name must not. */
function runtimePlaces(kind: 'state' | 'slot', name: string): readonly SocketPlace[] {
  const hash = createHash('sha256').update(`${kind}\0${name}`).digest('hex').slice(0, 24)
  const known = { locked: kind === 'state', explicit: false }
  if (process.platform === 'win32') return [{ path: `\\\\.\\pipe\\tailrace-${hash}`, ...known }]
  return runtimeFolders().map((folder) => ({ path: join(folder, `${hash}.sock`), privateFolder: folder, ...known }))
}

/** A login session has the first, a cron job maybe the second only. */
function runtimeFolders(): readonly string[] {
  const runtime = process.env.XDG_RUNTIME_DIR
  const temporary = join(tmpdir(), `tailrace-${process.getuid?.() ?? 'user'}`)
  return runtime ? [join(runtime, 'tailrace'), temporary] : [temporary]
}

function explicitPath(control: string): string {
  if (process.platform === 'win32') return control
  const path = resolve(control)
  const bytes = Buffer.byteLength(path)
  if (bytes <= MAX_PATH_BYTES) return path
  const problem = `option '--control <path>': a socket's path has ${MAX_PATH_BYTES} bytes at most, and ${path} has ${bytes}`
  throw OPTION_INVALID({ problem, near: undefined })
}

/** One file has one name, whatever links lead to its folder. */
function realPath(file: string): string {
  const path = resolve(file)
  try {
    return join(realpathSync(dirname(path)), basename(path))
  } catch {
    return path
  }
}
