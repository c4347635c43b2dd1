import { existsSync, readFileSync } from 'node:fs'
import { Collector, type Given, invalid } from './given.js'
import { type Environment, systemServiceFiles, userFile } from './places.js'

/**
 * The parameters of a service ("The Connection Service File" in the PostgreSQL docs): from `file`, or where none is given
 * the user's own, then from the system's. With `hidden` neither name nor file is printed, which may be a password's rest.
 */
export function readService(service: string, file: string | undefined, env: Environment, hidden = false): Given {
  const shown = (path: string) => (hidden && path === file ? 'of servicefile' : path)
  const paths = [file ?? userFile('service', env), ...systemServiceFiles(env)]
  for (const path of paths) {
    // Only a file that was asked for has to be there.
    if (path !== file && !existsSync(path)) continue
    const given = readServiceText(readText(path, shown(path)), service, shown(path))
    if (given !== undefined) return given
  }
  throw invalid(`service${hidden ? '' : ` "${service}"`} is defined in none of ${paths.map(shown).join(', ')}`)
}

/** The section `[service]` of a service file; undefined where it has none. Of two values for one name the first counts. */
export function readServiceText(text: string, service: string, path: string): Given | undefined {
  const lines = text.split('\n').map((line) => line.trim())
  const start = lines.findIndex((line) => line.startsWith(`[${service}]`))
  if (start < 0) return undefined
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith('['))
  const section = lines.slice(start + 1, length < 0 ? undefined : start + 1 + length)
  const hidden = section.some((line) => /^(ssl)?password/.test(line))
  const collector = new Collector(hidden, ` of service file ${path}`)
  for (const [index, line] of section.entries()) {
    if (line === '' || line.startsWith('#')) continue
    const where = `line ${start + index + 2} of service file ${path}`
    const equals = line.indexOf('=')
    if (line.startsWith('ldap')) throw invalid(`${where} asks an LDAP server, which tailrace does not`)
    if (equals < 0) throw invalid(`${where} has no "="`)
    const name = line.slice(0, equals)
    if (name === 'service' || name === 'servicefile')
      throw invalid(`${where} names another service, which libpq does not allow`)
    if (name !== name.trim()) throw invalid(`${where} has a blank before its "=", which libpq does not allow`)
    if (!collector.values.has(name)) collector.set(name, line.slice(equals + 1))
  }
  return collector.given()
}

function readText(path: string, shown: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw invalid(`service file ${shown} cannot be read (${code})`, shown === path ? { cause } : undefined)
  }
}
