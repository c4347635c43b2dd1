import { CONNECTOR_INVALID, type SettingProblem } from '../../../core/conduitErrors.js'
import { TailraceError } from '../../../core/tailraceError.js'
import type { Mode } from '../../../destination/modes.js'
import { modeOf } from '../../../destination/modes.js'
import { type ConnectionOptions, parseConnectionString } from '../../../postgres/connectionString.js'
import { conduitDestinationSettings } from '../settings/destinationSettings.js'
import { type ReadSettings, readSettings } from '../settings/readSettings.js'
import { isTemplate } from '../template/index.js'
import { type KeyChoice, keyChoice } from './keyChoice.js'
import { NotATableName, tableNames } from './tableName.js'
import { type TableRoute, tableRoute } from './tableRoute.js'

export type DestinationValues = ReadSettings<typeof conduitDestinationSettings>['values']

/** What a pipeline says of the destination, read. */
export interface DestinationPlan {
  readonly values: DestinationValues
  readonly connection: ConnectionOptions
  readonly route: TableRoute
  readonly key: KeyChoice
  readonly mode: Mode
  /** Settings that are taken and have no effect, with the reason. */
  readonly notices: readonly string[]
}

/** `CONNECTOR_INVALID` with what is wrong; what is wrong with the connection's own parameters is told under its code. */
export function readDestination(raw: Readonly<Record<string, string>>): DestinationPlan {
  const { values, given, notices } = readSettings(conduitDestinationSettings, {}, raw)
  const problems: SettingProblem[] = []
  const read = <Value>(name: 'table' | 'key', of: (text: string) => Value): Value | undefined => {
    try {
      return of(values[name])
    } catch (error) {
      if (!(error instanceof TailraceError) && !(error instanceof NotATableName)) throw error
      problems.push({ name, value: values[name], problem: error.message })
      return undefined
    }
  }
  const route = read('table', (text) => {
    if (!isTemplate(text)) tableNames(text)
    return tableRoute(text)
  })
  const key = read('key', keyChoice)
  if (route === undefined || key === undefined) throw CONNECTOR_INVALID({ problems })
  const { delete: deletes, deletedColumn } = values
  return {
    values,
    connection: parseConnectionString(values.url),
    route,
    key,
    mode: modeOf({ mode: 'mirror', delete: deletes, deletedColumn, historyPrefix: '' }),
    notices: [...notices, ...withoutEffect(given)],
  }
}

function withoutEffect(given: ReadonlySet<string>): string[] {
  const told: string[] = []
  for (const name of ['sdk.record.format', 'sdk.record.format.options']) {
    if (given.has(name)) told.push(`${name} has no effect: rows are written into columns, not records as text`)
  }
  return told
}
