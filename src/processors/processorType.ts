import type * as z from 'zod'
import type { CodecOptions } from '../codec/codecFor.js'
import type { Processor } from './processor.js'

/** What is wrong with a setting; `at`: the offset of the character in its text. */
export interface ProcessorProblem {
  /** The setting, as it is declared. */
  readonly name: string
  readonly problem: string
  readonly at?: number
}

/** What a processor knows of its pipeline. */
export interface ProcessorPlace {
  /** What it is called in messages. */
  readonly name: string
  /** Relative paths begin here. */
  readonly folder: string
  /** Tells a line to whoever watches the pipeline. */
  readonly log: (line: string) => void
  /** How values are read and written. */
  readonly codecs: CodecOptions | undefined
  /** What becomes of a record that it fails on: with stop nothing behind it is worth the effort. */
  readonly onError: 'stop' | 'skip'
}

type Shape = Readonly<Record<string, z.ZodType>>

/** A kind of processors: what stands as `type` in a pipeline's file. */
export interface ProcessorType {
  /** Declared with `setting(…)`. */
  readonly settings: Shape
  /** It has SQL in it, whatever its settings: the grammar must be loaded before anything else of it is called. */
  readonly needsGrammar: boolean
  /** It hides values: where a condition cannot be answered, it does. */
  readonly hides: boolean
  /** The tables that its settings name themselves, as a list of patterns; undefined: those of `streams`. */
  streams(settings: object): string | undefined
  /** What is wrong with the settings, as far as it can be said without a table. */
  problems(settings: object): readonly ProcessorProblem[]
  /** The steps that it consists of. */
  create(settings: object, place: ProcessorPlace): readonly Processor[]
}

/** The same, with settings that have been read by its own declaration. */
export function processorType<S extends Shape>(type: {
  readonly settings: S
  readonly needsGrammar?: boolean
  readonly hides?: boolean
  readonly streams?: (settings: z.infer<z.ZodObject<S>>) => string
  readonly problems?: (settings: z.infer<z.ZodObject<S>>) => readonly ProcessorProblem[]
  readonly create: (settings: z.infer<z.ZodObject<S>>, place: ProcessorPlace) => readonly Processor[]
}): ProcessorType {
  type Settings = z.infer<z.ZodObject<S>>
  return {
    settings: type.settings,
    needsGrammar: type.needsGrammar ?? false,
    hides: type.hides ?? false,
    streams: (settings) => type.streams?.(settings as Settings),
    problems: (settings) => type.problems?.(settings as Settings) ?? [],
    create: (settings, place) => type.create(settings as Settings, place),
  }
}
