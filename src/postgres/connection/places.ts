import { homedir } from 'node:os'
import { join } from 'node:path'

export type Environment = Readonly<Record<string, string | undefined>>

/** Where libpq was built to look for pg_service.conf: Debian, Red Hat, from source. */
const SYSTEM_FOLDERS = ['/etc/postgresql-common', '/etc/sysconfig/pgsql', '/usr/local/pgsql/etc']

/** The files libpq looks for in a user's home ("Files" of each chapter in the PostgreSQL docs). */
export function userFile(
  name: 'password' | 'service' | 'root.crt' | 'root.crl' | 'postgresql.crt' | 'postgresql.key',
  env: Environment,
): string {
  const windows = process.platform === 'win32'
  const home = windows ? join(env.APPDATA ?? homedir(), 'postgresql') : env.HOME || homedir()
  if (name === 'password') return join(home, windows ? 'pgpass.conf' : '.pgpass')
  if (name === 'service') return join(home, '.pg_service.conf')
  return windows ? join(home, name) : join(home, '.postgresql', name)
}

/** Where a service file for all users may be. */
export function systemServiceFiles(env: Environment): readonly string[] {
  const folders = env.PGSYSCONFDIR === undefined ? SYSTEM_FOLDERS : [env.PGSYSCONFDIR]
  return folders.map((folder) => join(folder, 'pg_service.conf'))
}
