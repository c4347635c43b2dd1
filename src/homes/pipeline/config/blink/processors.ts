import type { ConfigEntry } from '../configTree.js'
import type { SettingsReader } from '../settingsReader.js'

/** The list of processors is read here. */
export function refuseProcessors(reader: SettingsReader, entry: ConfigEntry | undefined): void {
  if (entry === undefined) return
  const { value } = entry
  const isEmpty = value.kind === 'scalar' ? value.value === null : value.kind === 'list' && value.items.length === 0
  if (!isEmpty) reader.problem(entry.keyPlace, 'processors', 'processors are not there yet')
}
