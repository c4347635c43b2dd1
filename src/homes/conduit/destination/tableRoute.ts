import { compileTemplate, isTemplate, type TemplateRecord } from '../template/index.js'
import { FIRST_OF_CALLER } from './metadata.js'

/** Which table a record is for, as the setting `table` says. */
export interface TableRoute {
  /** Metadata that {@link TableRoute.quickly} needs, to be read of every record. */
  readonly names: readonly string[]
  /** The table's name, of those values from {@link FIRST_OF_CALLER} on; undefined: it takes more to tell. */
  quickly(metadata: readonly (string | undefined)[]): string | undefined
  /** The same of any record. Throws `TEMPLATE_FAILED`. */
  of(record: TemplateRecord): string
  /** What it needs of the data: those that are asked for nothing else need not be decoded for it. */
  readonly needsData: boolean
}

/** `{{ index .Metadata "name" }}`, of which nearly all templates are made. */
const INDEX = /\{\{-?\s*index\s+\.Metadata\s+"([^"\\]+)"\s*-?\}\}/g

/** Throws `TEMPLATE_INVALID`. */
export function tableRoute(setting: string): TableRoute {
  if (!isTemplate(setting)) {
    return { names: [], needsData: false, quickly: () => setting, of: () => setting }
  }
  const evaluate = compileTemplate(setting)
  const rest = setting.replaceAll(INDEX, '')
  const trims = setting.includes('{{-') || setting.includes('-}}')
  if (rest.includes('{{') || trims) {
    const needsData = /Key|Payload|Before|After/.test(setting)
    return { names: [], needsData, quickly: () => undefined, of: evaluate }
  }
  const texts = setting.split(INDEX)
  const names = texts.filter((_, i) => i % 2 === 1)
  const quickly = (metadata: readonly (string | undefined)[]) => {
    let name = texts[0]!
    // Metadata that is not there is "", as in Go.
    for (let i = 0; i < names.length; i++) name += (metadata[FIRST_OF_CALLER + i] ?? '') + texts[2 * i + 2]!
    return name
  }
  return { names, needsData: false, quickly, of: evaluate }
}
