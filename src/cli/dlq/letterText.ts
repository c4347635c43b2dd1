import { count } from '../../core/quantity.js'
import { type SinkLetter, summaryOf } from '../../homes/pipeline/dlq/deadLetterQueue.js'
import { hintOf } from '../../homes/pipeline/dlq/hint.js'
import type { ReplayResult } from '../../homes/pipeline/dlq/replay.js'
import { formatTable, printable } from '../table.js'

/** No cell of a list is wider. */
const MOST_CHARACTERS = 80

/** Cells of a list. */
export function letterLine({ sink, letter }: SinkLetter): string[] {
  const { operation, key } = summaryOf(letter)
  const { number, at, target, sqlstate = '', problem } = letter
  return [sink, number, at, `${operation} ${target}`, cut(key), sqlstate, cut(problem)]
}

export function lettersAsText(lines: readonly (readonly string[])[], limit: number): string {
  if (lines.length === 0) return 'No dead letters.\n'
  const headings = ['sink', 'number', 'at', 'record', 'key', 'sqlstate', 'problem']
  const more =
    lines.length < limit ? '' : `\nThe first ${count(limit)}: --limit lists more, --from those behind a number.\n`
  return formatTable(headings, lines) + more
}

/** One letter whole, in one line. */
export function letterAsJson({ sink, letter }: SinkLetter): string {
  const { record, sqlstate = null, ...facts } = letter
  const hint = hintOf(letter)
  return `${JSON.stringify({ sink, ...facts, sqlstate, hint }).slice(0, -1)},"record":${record}}\n`
}

export function letterAsText({ sink, letter }: SinkLetter): string {
  const { number, at, id, target, sqlstate, problem, record } = letter
  const facts = [
    ['sink', sink],
    ['number', number],
    ['at', at],
    ['id', id],
    ['table', target],
    ['problem', sqlstate === undefined ? problem : `${problem} [SQLSTATE ${sqlstate}]`],
    ['to do', hintOf(letter)],
  ]
  const lines = facts.map(([name, value]) => `${name!.padEnd(9)}${printable(value!)}\n`)
  return `${lines.join('')}record\n${record}\n`
}

export function summaryAsText({ sink, written, superseded, failed }: ReplayResult, dropped: boolean): string {
  const parts = [
    `${count(written)} written again`,
    ...(failed === 0 ? [] : [`${count(failed)} rejected, which stay`]),
    ...(superseded === 0
      ? []
      : [`${count(superseded)} older than what the source has, ${dropped ? 'taken out' : 'which stay'}`]),
  ]
  return `sink ${sink}: ${parts.join('; ')}\n`
}

function cut(text: string): string {
  const characters = [...text.replaceAll('\n', ' ')]
  return characters.length <= MOST_CHARACTERS
    ? characters.join('')
    : `${characters.slice(0, MOST_CHARACTERS - 1).join('')}…`
}
