import { REQUEST_INVALID } from '../../../core/httpErrors.js'
import {
  countLetters,
  dropLetters,
  findLetter,
  listLetters,
  type SinkLetter,
  summaryOf,
} from '../dlq/deadLetterQueue.js'
import { hintOf } from '../dlq/hint.js'
import type { LetterFilter } from '../dlq/letter.js'
import { replayLetters } from '../dlq/replay.js'
import { pipelineNamed } from './apiRoutes.js'
import type { KeptLetter, LetterLine, LettersAnswer, LetterWhole, ReplayAnswer } from './deadLetterAnswers.js'
import type { ManagedPipeline } from './managedPipeline.js'
import { json, type Route } from './route.js'

const LISTED = 50
const MOST_LISTED = 500
/** Reasons told of letters that stay. */
const MOST_KEPT = 20
/** What is shown of a key. */
const KEY_CHARACTERS = 200

type Values = Readonly<Record<string, unknown>>

/** Dead letters over HTTP: as `tailrace dlq` has them, and through the sinks that run. */
export function dlqRoutes(pipelines: readonly ManagedPipeline[]): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/dlq',
      costly: true,
      answer: async ({ query, gone }) => {
        const values = Object.fromEntries(query)
        const { config, monitor } = pipelineNamed(pipelines, values.pipeline)
        const limit = Math.min(MOST_LISTED, numberOf(values, 'limit') ?? LISTED)
        const letters: LetterLine[] = []
        const named = { sink: textOf(values, 'sink'), filter: { ...filterOf(values), limit: limit + 1, gone } }
        for await (const one of listLetters(config, named)) letters.push(lineOf(one))
        const more = letters.length > limit
        const isAll = !more && Object.keys(values).every((name) => name === 'pipeline' || name === 'limit')
        if (isAll && !gone()) {
          for (const { name } of config.sinks) {
            monitor.lettersFound(name, letters.filter(({ sink }) => sink === name).length)
          }
        }
        const answer: LettersAnswer = { letters: letters.slice(0, limit), more }
        return json(answer)
      },
    },
    {
      method: 'GET',
      path: '/api/dlq/letter',
      costly: true,
      answer: async ({ query, gone }) => {
        const values = Object.fromEntries(query)
        const { config } = pipelineNamed(pipelines, values.pipeline)
        const number = textOf(values, 'number')
        if (number === undefined) throw REQUEST_INVALID({ problem: '"number" is missing' })
        const found = await findLetter(config, textOf(values, 'sink'), number, gone)
        const whole: LetterWhole = { ...lineOf(found), record: found.letter.record }
        return json(whole)
      },
    },
    {
      method: 'POST',
      path: '/api/dlq/replay',
      answer: async ({ body }) => {
        const managed = pipelineNamed(pipelines, body.pipeline)
        const { config, replays } = managed
        const kept: KeptLetter[] = []
        const results = await replayLetters(config, {
          sink: textOf(body, 'sink'),
          filter: filterOf(body),
          force: flagOf(body, 'force'),
          dropSuperseded: flagOf(body, 'dropSuperseded'),
          running: replays,
          onKept: (sink, { number, id }, { code, message, hint }) => {
            if (kept.length < MOST_KEPT) kept.push({ sink, number, id, code, message, hint })
          },
        })
        await countAgain(managed, textOf(body, 'sink'))
        const answer: ReplayAnswer = { results, kept }
        return json(answer)
      },
    },
    {
      method: 'POST',
      path: '/api/dlq/drop',
      answer: async ({ body }) => {
        const managed = pipelineNamed(pipelines, body.pipeline)
        const { config } = managed
        const named = { sink: textOf(body, 'sink'), filter: filterOf(body), running: true }
        const dropped = await dropLetters(config, named)
        await countAgain(managed, named.sink)
        return json({ dropped: dropped.map(({ sink, count }) => ({ sink, count })) })
      },
    },
  ]
}

/** So that the status no longer tells of letters that are dealt with. */
async function countAgain({ config, monitor }: ManagedPipeline, sink: string | undefined): Promise<void> {
  for (const { sink: name, count } of await countLetters(config, { sink, filter: {} }))
    monitor.lettersFound(name, count)
}

function lineOf({ sink, letter }: SinkLetter): LetterLine {
  const { number, at, id, target, sqlstate = null, problem } = letter
  const { operation, key } = summaryOf(letter)
  const shown = key.length > KEY_CHARACTERS ? `${key.slice(0, KEY_CHARACTERS)}…` : key
  return { sink, number, at, id, target, sqlstate, problem, operation, key: shown, hint: hintOf(letter) }
}

/** `number`: that letter alone. */
function filterOf(values: Values): LetterFilter {
  const number = digitsOf(values, 'number')
  const since = textOf(values, 'since')
  if (since !== undefined && Number.isNaN(Date.parse(since))) throw REQUEST_INVALID({ problem: '"since" is no time' })
  return {
    tables: textOf(values, 'tables'),
    since: since === undefined ? undefined : new Date(since),
    sqlstate: textOf(values, 'code'),
    id: textOf(values, 'id'),
    from: number ?? digitsOf(values, 'from'),
    to: number ?? digitsOf(values, 'to'),
    limit: numberOf(values, 'limit'),
  }
}

function textOf(values: Values, name: string): string | undefined {
  const value = values[name]
  if (value === undefined || typeof value === 'string') return value
  throw REQUEST_INVALID({ problem: `"${name}" is no text` })
}

function digitsOf(values: Values, name: string): string | undefined {
  const text = textOf(values, name)
  if (text === undefined || /^\d{1,18}$/.test(text)) return text
  throw REQUEST_INVALID({ problem: `"${name}" is no number of a letter` })
}

/** Of a query it is a text. */
function numberOf(values: Values, name: string): number | undefined {
  const value = values[name]
  if (value === undefined) return undefined
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number
  throw REQUEST_INVALID({ problem: `"${name}" is no whole number` })
}

function flagOf(values: Values, name: string): boolean {
  const value = values[name] ?? false
  if (typeof value === 'boolean') return value
  throw REQUEST_INVALID({ problem: `"${name}" is neither true nor false` })
}
