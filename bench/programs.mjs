import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

const DEBIAN = '/usr/lib/postgresql'

/** What Debian's packages bring; `undefined` where it is missing. */
export const pgRecvlogical = find('pg_recvlogical')
export const psql = find('psql')
/** Of `postgresql`, not of the client's package. */
export const pgbench = find('pgbench')

/** The peer's major version, which the server has too unless `--major` says otherwise. */
export const toolsMajor = pgRecvlogical && Number(versionOf(pgRecvlogical).match(/\) (\d+)/)?.[1])

export function versionOf(program) {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).trim()
}

/** Past /usr/bin, where Debian has a Perl wrapper whose start would be measured. */
function find(name) {
  const majors = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const candidates = [...majors.map((major) => `${DEBIAN}/${major}/bin/${name}`), name]
  return candidates.find((candidate) => {
    try {
      versionOf(candidate)
      return true
    } catch {
      return false
    }
  })
}
