import type * as z from 'zod'
import { parseSettings } from '../core/setting.js'
import { type ColumnSelection, parseColumnSelection } from '../postgres/columnSelection.js'
import { type ConnectionOptions, parseConnectionString } from '../postgres/connectionString.js'
import { parseTablePatterns, type TablePattern } from '../postgres/tablePattern.js'
import { verifySettings } from './settings.js'
import { parseTargetNaming, type TargetNaming } from './targetName.js'

export type VerifyOptions = Readonly<z.input<z.ZodObject<typeof verifySettings>>>

/** The same, checked and read: everything that can be known without a network. */
export interface ParsedVerifyOptions
  extends Pick<z.output<z.ZodObject<typeof verifySettings>>, 'values' | 'repair' | 'limit'> {
  readonly source: ConnectionOptions
  readonly target: ConnectionOptions
  readonly include: readonly TablePattern[]
  readonly excluded: readonly TablePattern[]
  readonly columns: readonly ColumnSelection[]
  readonly keys: readonly ColumnSelection[]
  readonly targetOf: TargetNaming
  readonly settleMs: number
}

export function parseVerifyOptions(options: VerifyOptions): ParsedVerifyOptions {
  // `undefined` means the default.
  const input = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const { values, repair, limit, ...settings } = parseSettings(verifySettings, input)
  return {
    values,
    repair,
    limit,
    source: parseConnectionString(settings.source),
    target: parseConnectionString(settings.target),
    include: parseTablePatterns(settings.tables),
    excluded: settings.exclude === undefined ? [] : parseTablePatterns(settings.exclude),
    columns: settings.columns.map(parseColumnSelection),
    keys: settings.keys.map(parseColumnSelection),
    targetOf: parseTargetNaming(settings.targetTable),
    settleMs: settings.settleSeconds * 1000,
  }
}
