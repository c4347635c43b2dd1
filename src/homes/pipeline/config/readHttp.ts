import { resolve } from 'node:path'
import { parseAddress } from '../http/address.js'
import type { ConfigMap } from './configTree.js'
import type { SettingsReader } from './settingsReader.js'

/** What a file, or the command line, says of the HTTP interface. */
export interface HttpSettings {
  readonly http?: string | undefined
  readonly httpToken?: string | undefined
  /** Absolute. */
  readonly httpTokenFile?: string | undefined
}

/** What of it stands in `values`, the settings of a pipeline that is in `map`; undefined: nothing. */
export function readHttp(
  reader: SettingsReader,
  map: ConfigMap,
  { http, httpToken, httpTokenFile }: Readonly<Record<string, unknown>>,
  folder: string,
): HttpSettings | undefined {
  if (http === undefined && httpToken === undefined && httpTokenFile === undefined) return undefined
  const entry = map.entries.find(({ key }) => key === 'http')
  if (http !== undefined && parseAddress(String(http)) === undefined) {
    reader.problem(entry!.value.place, 'http', 'an address and a port are expected, such as 127.0.0.1:8080')
  }
  return {
    http: http === undefined ? undefined : String(http),
    httpToken: httpToken as string | undefined,
    httpTokenFile: httpTokenFile === undefined ? undefined : resolve(folder, httpTokenFile as string),
  }
}
