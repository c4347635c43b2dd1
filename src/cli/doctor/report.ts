import { type Finding, GROUPS, type Group, type Mend, type Status } from '../../source/doctor/finding.js'
import { PLATFORM_NAMES, type Platform } from '../../source/doctor/platform.js'
import { printable } from '../table.js'

export interface Report {
  readonly platform: Platform
  /** Where it looked, without a password. */
  readonly to: string
  readonly findings: readonly Finding[]
}

const TITLES: Readonly<Record<Group, string>> = {
  connection: 'Connection',
  server: 'Server',
  slots: 'Replication slots and WAL',
  tables: 'Tables',
  publication: 'Publication',
  transactions: 'Transactions',
}

const COLOURS: Readonly<Record<Status, string>> = { ok: '32', warning: '33', problem: '31' }
const MARKS: Readonly<Record<Status, string>> = { ok: 'ok     ', warning: 'warning', problem: 'PROBLEM' }
const INDENT = ' '.repeat(10)
/** Of findings that passed, and are alike but for the table. */
const SHOWN_ALIKE = 10

/** For people: group by group, what passed in one line each, the rest with its mend, the sum at the end. */
export function reportAsText({ platform, to, findings }: Report, coloured: boolean): string {
  const groups = GROUPS.map((group) => ({ group, found: findings.filter((one) => one.group === group) }))
  const parts = groups
    .filter(({ found }) => found.length > 0)
    .map(({ group, found }) => `${paint(TITLES[group], '1', coloured)}\n${shorten(found).map(lines).join('')}`)
  return `${to} (${PLATFORM_NAMES[platform]})\n\n${parts.join('\n')}\n${summary(findings)}\n`

  function lines(line: Finding | string): string {
    if (typeof line === 'string') return `${INDENT}${line}\n`
    const { status, code, found, why, mend } = line
    const head = `  ${paint(MARKS[status], COLOURS[status], coloured)} ${oneLine(found)}`
    if (status === 'ok') return `${head}\n`
    const mends = mend.map((one) => `${INDENT}${mendLine(one)}\n`).join('')
    return `${head} [${code}]\n${INDENT}${oneLine(why)}\n${mends}`
  }
}

/** What can be copied stands by itself. */
function mendLine({ kind, text }: Mend): string {
  if (kind === 'advice') return oneLine(text)
  return kind === 'option' ? `Or give ${oneLine(text)}.` : `  ${oneLine(text)}`
}

/** A hundred tables that are fine need no hundred lines. */
function shorten(findings: readonly Finding[]): (Finding | string)[] {
  const passed = new Map<string, number>()
  const kept: (Finding | string)[] = []
  for (const finding of findings) {
    const { status, code } = finding
    const count = (passed.get(code) ?? 0) + 1
    if (status === 'ok') passed.set(code, count)
    if (status !== 'ok' || count <= SHOWN_ALIKE) kept.push(finding)
  }
  for (const [code, count] of passed) if (count > SHOWN_ALIKE) kept.push(`and ${count - SHOWN_ALIKE} more of ${code}`)
  return kept
}

function paint(text: string, colour: string, coloured: boolean): string {
  return coloured ? `\x1b[${colour}m${text}\x1b[0m` : text
}

/** Names and the server's words may have line breaks and worse. */
function oneLine(text: string): string {
  return printable(text.replaceAll(/\s*\n\s*/g, ' '))
}

/** `2 problems, 1 warning, 14 checks passed`. */
function summary(findings: readonly Finding[]): string {
  const { problems, warnings, passed } = count(findings)
  const plural = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`
  return `${plural(problems, 'problem')}, ${plural(warnings, 'warning')}, ${plural(passed, 'check')} passed`
}

export function count(findings: readonly Finding[]) {
  const of = (status: Status) => findings.filter((one) => one.status === status).length
  return { problems: of('problem'), warnings: of('warning'), passed: of('ok') }
}

/** One JSON document; no field is ever left out. */
export function reportAsJson({ platform, to, findings }: Report): string {
  const checks = findings.map(({ group, status, code, found, why, mend }) => ({
    group,
    status,
    code,
    found,
    why,
    mend,
  }))
  return `${JSON.stringify({ server: to, platform, ...count(findings), findings: checks }, null, 2)}\n`
}
