import { count } from '../../core/quantity.js'
import type { Difference, DifferingValue, TableReport, Verdict } from '../../verify/report.js'
import { verdictOf } from '../../verify/report.js'
import { printable } from '../table.js'

/** 0 equal, 1 different, 2 could not tell. */
export function exitCodeOf(tables: readonly TableReport[]): number {
  const verdicts = tables.map(verdictOf)
  if (verdicts.includes('different')) return 1
  return verdicts.includes('unknown') ? 2 : 0
}

const WORDS: Readonly<Record<Verdict, string>> = {
  equal: 'equal',
  repaired: 'repaired',
  different: 'DIFFERENT',
  unknown: 'COULD NOT TELL',
}

/** One table for people: a line, then its notes and rows. */
export function tableAsText(table: TableReport): string {
  const lines = [
    `${table.table}: ${WORDS[verdictOf(table)]}, ${facts(table)}`,
    ...table.notes.map((note) => `  note       ${note}`),
    ...table.differences.flatMap((difference) => differenceLines(difference, table)),
    ...more(table),
    ...table.unsettled.map((key) => `  changing   ${keyText(key)}`),
    ...repairLines(table),
  ]
  return lines.map((line) => `${printable(line)}\n`).join('')
}

function facts(table: TableReport): string {
  const { rows, counts, unsettledRows, complete, target } = table
  const found = (['missing', 'extra', 'different'] as const).filter((kind) => counts[kind] > 0)
  const least = complete ? '' : 'at least '
  const parts = found.map((kind) => `${least}${count(counts[kind])} ${kind}`)
  if (unsettledRows > 0) parts.push(`${count(unsettledRows)} never stood still`)
  const size = rows.source === rows.target ? count(rows.source) : `${count(rows.source)} and ${count(rows.target)}`
  const named = target === table.table ? '' : ` in ${target}`
  const rowsWord = rows.source === 1 && rows.target === 1 ? 'row' : 'rows'
  return [...parts, `${size} ${rowsWord}${named}`].join(', ')
}

function differenceLines({ kind, key, rows, values }: Difference, { key: columns }: TableReport): string[] {
  const counted = columns.length === 0 || rows.source > 1 || rows.target > 1
  const times = counted ? `  (${rows.source} times in the source, ${rows.target} in the target)` : ''
  return [`  ${kind.padEnd(9)}  ${keyText(key)}${times}`, ...(values ?? []).map(valueLine)]
}

/** Source left, target right; of a row that one side lacks the other's alone. */
function valueLine({ column, source, target }: DifferingValue): string {
  const sides = [source, target].filter((value) => value !== undefined).map(valueText)
  const same = sides.length === 2 && sides[0] === sides[1]
  return `             ${column}: ${same ? sides[0] : sides.join(' | ')}`
}

/** So that NULL, an empty text and the text NULL are three things. */
function valueText(value: string | null): string {
  return value === null ? 'NULL' : `'${value}'`
}

function keyText(key: Readonly<Record<string, string>>): string {
  return Object.entries(key)
    .map(([name, text]) => `${name}=${text}`)
    .join(' ')
}

function more({ counts, differences, complete }: TableReport): string[] {
  const untold = counts.missing + counts.extra + counts.different - differences.length
  if (!complete) return ['  …          the search ended at --limit: there may be more']
  return untold > 0 ? [`  …          and ${count(untold)} more, beyond --limit`] : []
}

function repairLines({ repaired }: TableReport): string[] {
  if (repaired === undefined) return []
  const { inserted, updated, deleted, equal, left } = repaired
  if (inserted + updated + deleted + equal + left === 0) return []
  const lines = [`  repaired   ${count(inserted)} inserted, ${count(updated)} updated, ${count(deleted)} deleted`]
  if (equal > 0) lines.push(`             ${count(equal)} were equal by then`)
  if (left > 0) lines.push(`             ${count(left)} changed meanwhile and were left alone: run it again`)
  return lines
}

/** The last line. */
export function summaryAsText(tables: readonly TableReport[]): string {
  const verdicts = tables.map(verdictOf)
  const words = (['equal', 'repaired', 'different', 'unknown'] as const)
    .map((verdict) => ({ verdict, tables: verdicts.filter((one) => one === verdict).length }))
    .filter(({ tables: amount }) => amount > 0)
    .map(({ verdict, tables: amount }) => `${amount} ${SUMMARY[verdict]}`)
  return `${tables.length} ${tables.length === 1 ? 'table' : 'tables'}: ${words.join(', ')}\n`
}

const SUMMARY: Readonly<Record<Verdict, string>> = {
  equal: 'equal',
  repaired: 'repaired',
  different: 'different',
  unknown: 'not decided',
}

interface Places {
  readonly source?: string
  readonly target?: string
  readonly tables: readonly TableReport[]
}

interface Failure {
  readonly code: string
  readonly message: string
  readonly hint: string
}

/** One JSON document; what is not known is null, no field is ever left out. */
export function reportAsJson({ source, target, tables }: Places, error?: Failure): string {
  const documents = tables.map((table) => ({
    table: table.table,
    target: table.target,
    verdict: verdictOf(table),
    key: table.key,
    rows: table.rows,
    ...table.counts,
    unsettled: table.unsettledRows,
    complete: table.complete,
    notes: table.notes,
    differences: table.differences.map(({ kind, key, rows, values }) => ({
      kind,
      key,
      rows,
      values: values?.map((one) => ({ column: one.column, ...presentSides(one) })) ?? null,
    })),
    unsettledKeys: table.unsettled,
    repaired: table.repaired ?? null,
  }))
  const exitCode = error === undefined ? exitCodeOf(tables) : 2
  const document = { source: source ?? null, target: target ?? null, exitCode, error: error ?? null, tables: documents }
  return `${JSON.stringify(document, null, 2)}\n`
}

/** NULL is null; a side without the row has no field. */
function presentSides({ source, target }: DifferingValue): Partial<Record<'source' | 'target', string | null>> {
  return { ...(source !== undefined && { source }), ...(target !== undefined && { target }) }
}
