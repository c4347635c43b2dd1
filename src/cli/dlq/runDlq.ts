import { createInterface } from 'node:readline/promises'
import { DEAD_LETTERS_UNCONFIRMED } from '../../core/deadLetterErrors.js'
import { OPTION_INVALID } from '../../core/errors.js'
import { count } from '../../core/quantity.js'
import type { PipelineConfig } from '../../homes/pipeline/config/pipelineConfig.js'
import { countLetters, dropLetters, findLetter, listLetters } from '../../homes/pipeline/dlq/deadLetterQueue.js'
import type { LetterFilter } from '../../homes/pipeline/dlq/letter.js'
import { replayLetters } from '../../homes/pipeline/dlq/replay.js'
import { configureLog, log } from '../log.js'
import { print } from '../print.js'
import { readOrTell } from '../run/readFiles.js'
import { Signals } from '../signals.js'
import { askRun } from './askRun.js'
import { letterAsJson, letterAsText, letterLine, lettersAsText, summaryAsText } from './letterText.js'

export interface DlqOptions {
  readonly sink?: string
  readonly tables?: string
  readonly since?: string
  readonly code?: string
  readonly id?: string
  readonly from?: string
  readonly to?: string
  readonly limit?: string
  readonly force?: boolean
  readonly dropSuperseded?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

interface Told {
  readonly code: string
  readonly message: string
  readonly hint: string
}

const WRONG_USAGE = 2
const LISTED = 100
/** Letters whose reasons are told one by one. */
const TOLD = 20
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Runs `tailrace dlq list`; gives the exit code. */
export async function listOf(path: string, options: DlqOptions): Promise<number> {
  const filter = filterOf(options)
  return withPipeline(path, async (config) => {
    const limit = filter.limit ?? LISTED
    const letters = listLetters(config, { sink: options.sink, filter: { ...filter, limit } })
    if (options.json) {
      for await (const one of letters) await print(letterAsJson(one))
      return 0
    }
    const lines: string[][] = []
    for await (const one of letters) lines.push(letterLine(one))
    await print(lettersAsText(lines, limit))
    return 0
  })
}

/** Runs `tailrace dlq show`; gives the exit code. */
export async function showOf(path: string, number: string, { sink, json = false }: DlqOptions): Promise<number> {
  return withPipeline(path, async (config) => {
    const found = await findLetter(config, sink, number)
    await print(json ? letterAsJson(found) : letterAsText(found))
    return 0
  })
}

/** Runs `tailrace dlq replay`; gives the exit code. */
export async function replayOf(path: string, options: DlqOptions): Promise<number> {
  const { sink, force = false, dropSuperseded = false, json = false } = options
  const filter = filterOf(options)
  return withPipeline(path, async (config) => {
    const signals = new Signals()
    let told = 0
    const tell = (name: string, letter: string, { code, message, hint }: Told) => {
      if (++told > TOLD) return
      log('warn', `sink ${name}, letter ${letter}: ${code}: ${message}. ${hint}`, { code, letter })
    }
    try {
      const results = await replayLetters(config, {
        ...{ sink, filter, force, dropSuperseded, signal: signals.signal },
        onKept: (name, { number }, cause) => tell(name, number, cause),
        askRun: async (name) => {
          const { sqlstate: code, since, tables, id, from, to, limit } = filter
          const asked = { tables, code, since: since?.toISOString(), id, from, to, limit }
          const answer = await askRun(path, config, { ...asked, sink: name, force, dropSuperseded })
          for (const one of answer?.kept ?? []) tell(name, one.number, one)
          return answer?.results.find((one) => one.sink === name)
        },
      })
      if (told > TOLD) log('warn', `${count(told - TOLD)} more letters stay; tailrace dlq list shows why`)
      await print(
        json ? `${JSON.stringify(results)}\n` : results.map((one) => summaryAsText(one, dropSuperseded)).join(''),
      )
      const stay = results.some(({ failed, superseded }) => failed + (dropSuperseded ? 0 : superseded) > 0)
      return stay ? 1 : 0
    } finally {
      signals.release()
    }
  })
}

/** Runs `tailrace dlq drop`; gives the exit code. */
export async function dropFrom(path: string, options: DlqOptions): Promise<number> {
  const { sink, yes = false, json = false } = options
  const filter = filterOf(options)
  return withPipeline(path, async (config) => {
    if (!yes) await confirm(config, { sink, filter })
    const dropped = await dropLetters(config, { sink, filter })
    const lines = dropped.map((one) => `sink ${one.sink}: ${letters(one.count)} taken out\n`)
    await print(json ? `${JSON.stringify(dropped)}\n` : lines.join(''))
    return 0
  })
}

async function confirm(config: PipelineConfig, named: Parameters<typeof countLetters>[1]): Promise<void> {
  const counts = (await countLetters(config, named)).filter((one) => one.count > 0)
  if (counts.length === 0) return
  const what = counts.map((one) => `${letters(one.count)} of the sink ${one.sink}`).join(' and ')
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw DEAD_LETTERS_UNCONFIRMED({ what })
  const asked = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await asked.question(`Take ${what} out for good? [y/N] `)
  asked.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw DEAD_LETTERS_UNCONFIRMED({ what })
}

async function withPipeline(path: string, work: (config: PipelineConfig) => Promise<number>): Promise<number> {
  configureLog({ format: 'text', level: 'info' })
  const found = await readOrTell(path)
  return found === undefined ? WRONG_USAGE : work(found.config)
}

function filterOf({ tables, since, code, id, from, to, limit }: DlqOptions): LetterFilter {
  const most = limit === undefined ? undefined : Number(limit)
  return { tables, sqlstate: code, id, from, to, limit: most, since: since === undefined ? undefined : timeOf(since) }
}

function timeOf(text: string): Date {
  const [, amount, unit] = /^(\d+)([smhd])$/.exec(text) ?? []
  const time = unit === undefined ? Date.parse(text) : Date.now() - Number(amount) * UNITS[unit]! * 1000
  if (!Number.isNaN(time)) return new Date(time)
  const problem = `--since '${text}' is no time such as 2026-11-22T10:00:00Z, and no span such as 12h`
  throw OPTION_INVALID({ problem, near: undefined })
}

function letters(many: number): string {
  return `${count(many)} dead letter${many === 1 ? '' : 's'}`
}
