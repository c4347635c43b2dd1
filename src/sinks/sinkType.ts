import type * as z from 'zod'
import type { Table } from '../core/table.js'
import type { OwnLetters } from './deadLetters/letterPlace.js'
import type { Sink } from './sink.js'

/** What settings cannot say each for itself. */
export interface SettingProblem {
  /** The setting, as it is declared; empty: all of them. */
  readonly name: string
  readonly problem: string
}

/** What a sink knows of its pipeline. */
export interface SinkPlace {
  /** Relative paths begin here, absolute. */
  readonly folder: string
  /** What the pipeline is called. */
  readonly pipeline: string
  /** What it is called itself. */
  readonly sink: string
  /** The source's. */
  readonly database?: string | undefined
  /** How text sinks write a table's values, where that is not as the catalog says. */
  readonly shown?: ((table: Table) => Table) | undefined
}

/** Where records go that a sink rejects. */
export interface DeadLetters {
  /** Absolute. */
  readonly file: string | undefined
}

type Shape = Readonly<Record<string, z.ZodType>>

/** A kind of sinks: what stands as `type` in a pipeline's file. */
export interface SinkType {
  /** Declared with `setting(…)`. */
  readonly settings: Shape
  /** What is wrong with settings that are each right by themselves. */
  problems(settings: object): readonly SettingProblem[]
  /** It puts aside what it rejects itself, together with what it writes, where `create` is told so. */
  readonly ownDeadLetters: boolean
  /** Of such a sink where they are; undefined of others. */
  ownLetters(settings: object, place: SinkPlace): OwnLetters | undefined
  /** What only one sink of a pipeline can have, such as a file; undefined: nothing. */
  claims(settings: object, place: SinkPlace): string | undefined
  create(settings: object, place: SinkPlace, deadLetters?: DeadLetters): Sink
}

/** The same, with settings that have been read by its own declaration. */
export function sinkType<S extends Shape>(type: {
  readonly settings: S
  readonly problems?: (settings: z.infer<z.ZodObject<S>>) => readonly SettingProblem[]
  readonly claims?: (settings: z.infer<z.ZodObject<S>>, place: SinkPlace) => string | undefined
  readonly create: (settings: z.infer<z.ZodObject<S>>, place: SinkPlace, deadLetters?: DeadLetters) => Sink
  readonly ownLetters?: (settings: z.infer<z.ZodObject<S>>, place: SinkPlace) => OwnLetters
}): SinkType {
  type Settings = z.infer<z.ZodObject<S>>
  return {
    settings: type.settings,
    problems: (settings) => type.problems?.(settings as Settings) ?? [],
    claims: (settings, place) => type.claims?.(settings as Settings, place),
    create: (settings, place, deadLetters) => type.create(settings as Settings, place, deadLetters),
    ownDeadLetters: type.ownLetters !== undefined,
    ownLetters: (settings, place) => type.ownLetters?.(settings as Settings, place),
  }
}
