import { DEAD_LETTER_UNKNOWN } from '../../../core/deadLetterErrors.js'
import type { PipelineConfig } from '../config/pipelineConfig.js'
import { boxOf, sinksNamed } from './boxOf.js'
import type { Letter, LetterFilter } from './letter.js'
import { removeIfEmpty } from './tidy.js'

/** A letter and the sink that rejected it. */
export interface SinkLetter {
  readonly sink: string
  readonly letter: Letter
}

/** What of a record a list shows. */
export interface LetterSummary {
  readonly operation: string
  /** As JSON; empty where the record has none. */
  readonly key: string
}

export interface Named {
  readonly sink?: string | undefined
  readonly filter: LetterFilter
}

/** Letters of one sink or of all, sink after sink, the oldest first; `limit` counts for all of them together. */
export async function* listLetters(config: PipelineConfig, { sink, filter }: Named): AsyncIterable<SinkLetter> {
  let left = filter.limit ?? Number.POSITIVE_INFINITY
  for (const one of sinksNamed(config, sink)) {
    if (left <= 0 || filter.gone?.()) return
    await using box = await boxOf(config, one)
    for await (const letter of box.letters({ ...filter, limit: left })) {
      left--
      yield { sink: one.name, letter }
    }
  }
}

/** One letter of a sink, or, where none is named, of the first that has one of that number. Error: DEAD_LETTER_UNKNOWN. */
export async function findLetter(
  config: PipelineConfig,
  sink: string | undefined,
  number: string,
  gone: () => boolean = () => false,
): Promise<SinkLetter> {
  const sinks = sinksNamed(config, sink)
  for (const one of sinks) {
    if (gone()) break
    await using box = await boxOf(config, one)
    const letter = await box.find(number)
    if (letter !== undefined) return { sink: one.name, letter }
  }
  throw DEAD_LETTER_UNKNOWN({ number, sink: sinks.map(({ name }) => name).join(', ') })
}

export interface SinkCount {
  readonly sink: string
  /** Where its letters are. */
  readonly place: string
  readonly count: number
}

export async function countLetters(config: PipelineConfig, { sink, filter }: Named): Promise<readonly SinkCount[]> {
  const counts: SinkCount[] = []
  for (const one of sinksNamed(config, sink)) {
    await using box = await boxOf(config, one)
    let count = 0
    for await (const _ of box.letters(filter)) count++
    counts.push({ sink: one.name, place: box.place, count })
  }
  return counts
}

/** Takes letters out for good; `running`: this process runs the pipeline. */
export async function dropLetters(
  config: PipelineConfig,
  { sink, filter, running = false }: Named & { readonly running?: boolean },
): Promise<readonly SinkCount[]> {
  const counts: SinkCount[] = []
  for (const one of sinksNamed(config, sink)) {
    await using box = await boxOf(config, one)
    await box.claim()
    let count = 0
    try {
      for await (const letter of box.letters(filter)) {
        await box.remove(letter)
        count++
      }
    } finally {
      await box.settle()
    }
    counts.push({ sink: one.name, place: box.place, count })
  }
  if (!running) await removeIfEmpty(config)
  return counts
}

/** Without reading all of the record. */
export function summaryOf({ record }: Letter): LetterSummary {
  const operation = /^\{"operation":"(\w+)"/.exec(record)?.[1] ?? ''
  const key =
    /^\{"operation":"\w+","schema":"(?:[^"\\]|\\.)*","table":"(?:[^"\\]|\\.)*","key":(\{(?:"(?:[^"\\]|\\.)*"|[^"{}])*\})/.exec(
      record,
    )?.[1]
  return { operation, key: key ?? '' }
}
