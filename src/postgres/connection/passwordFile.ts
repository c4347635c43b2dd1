import { readFileSync, statSync } from 'node:fs'

/** Who wants a password. `host` is the name as it was written, or the address where there is no name. */
export interface PasswordQuestion {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** What became of a password file. */
export interface PasswordFile {
  readonly text: string
  /** Why it was passed over, if it was. */
  readonly warning: string | undefined
}

/** Where libpq's sockets are by default; in a password file they count as `localhost`. */
export const SOCKET_FOLDERS: readonly string[] = ['/var/run/postgresql', '/tmp']

/**
 * Reads a password file ("The Password File" in the PostgreSQL docs). As with libpq one that is missing is no error, and
 * one that others may read, or that is no plain file, is passed over with a warning.
 */
export function readPasswordFile(path: string, shown: string = path): PasswordFile {
  try {
    const { mode } = statSync(path)
    const access = process.platform === 'win32' ? 0 : mode & 0o077
    if ((mode & 0o170000) !== 0o100000)
      return passedOver(`password file ${shown} is not a plain file and was passed over`)
    if (access !== 0) {
      const found = (mode & 0o777).toString(8).padStart(4, '0')
      return passedOver(`password file ${shown} was passed over: others may read it (mode ${found}); chmod 0600`)
    }
    return { text: readFileSync(path, 'utf8'), warning: undefined }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const missing = code === 'ENOENT' || code === 'ENOTDIR'
    return { text: '', warning: missing ? undefined : `password file ${shown} cannot be read (${code})` }
  }
}

/** The password of the first line that fits: `host:port:database:user:password`, `*` fits everything, `\` escapes. */
export function findPassword(text: string, { host, port, database, user }: PasswordQuestion): string | undefined {
  const name = host === '' || SOCKET_FOLDERS.includes(host) ? 'localhost' : host
  const wanted = [name, String(port), database, user]
  for (const line of text.split(/\r?\n/)) {
    const fields = splitFields(line)
    if (fields.length < 5) continue
    if (wanted.every((one, index) => fields[index]!.raw === '*' || fields[index]!.value === one))
      return fields[4]!.value
  }
  return undefined
}

interface Field {
  readonly raw: string
  readonly value: string
}

/** Up to five; a colon behind the password ends it, as with libpq. */
function splitFields(line: string): Field[] {
  const fields: Field[] = []
  let [raw, value] = ['', '']
  for (let p = 0; p < line.length && fields.length < 5; p++) {
    if (line[p] === ':') {
      fields.push({ raw, value })
      raw = value = ''
      continue
    }
    const escaped = line[p] === '\\' && p + 1 < line.length
    raw += escaped ? line.slice(p, p + 2) : line[p]
    value += line[escaped ? ++p : p]
  }
  if (fields.length < 5) fields.push({ raw, value })
  return fields
}

function passedOver(warning: string): PasswordFile {
  return { text: '', warning }
}
