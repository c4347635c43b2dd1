import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as z from 'zod'
import { setting } from '../../core/setting.js'
import type { Sink } from '../sink.js'
import { type SettingProblem, type SinkPlace, type SinkType, sinkType } from '../sinkType.js'
import { explainSink, GuardedSink, kindOf } from './guardedSink.js'

/** So long a module may take to be loaded. */
const LOAD_MS = 30_000

/**
 * What a module exports, as `default`, that a pipeline's file names as the `type` of a sink: this, or only a function, its
 * `create`. `Settings` is what stands under `settings` there, as YAML reads it; what comes from the environment is text.
 */
export interface SinkModule<Settings extends object = Record<string, unknown>> {
  /**
   * What is wrong with the settings, also with what is missing and what is unknown. Called before the pipeline runs, and by
   * `tailrace validate`. Never put a secret's value into `problem`. Default: nothing.
   */
  problems?(settings: Readonly<Record<string, unknown>>): readonly SettingProblem[]
  /** What only one sink of a pipeline can write to, as a text, so that a second one is refused. Default: nothing. */
  claims?(settings: Settings, place: SinkPlace): string
  /** Makes the sink, when the pipeline runs; it is opened later. */
  create(settings: Settings, place: SinkPlace): Sink
}

/** A module that was loaded, or why it cannot be used. */
export type LoadedSinkModule =
  | { readonly type: SinkType }
  | { readonly problem: string; readonly hint: string | undefined }

/** Whether a `type` is the path of a module, and none of our own. */
export function isModulePath(type: string): boolean {
  return /^\.{0,2}[/\\]|^[A-Za-z]:[/\\]/.test(type)
}

/** Runs the module at `path`, relative to `folder`: trusted code. Never rejects. */
export async function loadSinkModule(path: string, folder: string): Promise<LoadedSinkModule> {
  const file = resolve(folder, path)
  const isThere = await stat(file).then(
    (found) => found.isFile(),
    () => false,
  )
  if (!isThere) return { problem: `there is no module ${file}`, hint: 'The path is relative to the pipeline’s file' }
  let exported: Record<string, unknown>
  try {
    exported = await withinTime(import(pathToFileURL(file).href))
  } catch (error) {
    return explained(error, path, file)
  }
  const found = exported.default
  const made = typeof found === 'function' ? { create: found } : found
  if (typeof made !== 'object' || made === null || typeof (made as SinkModule).create !== 'function') {
    const others = Object.keys(exported).filter((name) => name !== 'default')
    const named = others.length === 0 ? '' : `; it exports ${others.join(', ')}`
    const what = found === undefined ? 'there is none' : `it is ${kindOf(found)} without it`
    return {
      problem: `${path}: a default export is expected, a function or an object with create, and ${what}${named}`,
      hint: 'docs/sinks/own.md has an example',
    }
  }
  return { type: typeOf(made as SinkModule) }
}

/** The same as a type of ours: its settings stand in a map of their own, so that ours never clash with them. */
function typeOf(module: SinkModule): SinkType {
  return sinkType({
    settings: {
      settings: setting(z.record(z.string(), z.unknown()).default({}), {
        description: 'What the module is given.',
      }),
    },
    problems: ({ settings }) => {
      try {
        return [...(module.problems?.(settings) ?? [])]
      } catch (error) {
        return [{ name: '', problem: messageOf(error) }]
      }
    },
    claims: ({ settings }, place) => {
      try {
        return module.claims?.(settings, place)
      } catch (error) {
        throw explainSink(place.sink, 'claims', error)
      }
    },
    create: ({ settings }, place) => GuardedSink.made(place.sink, () => module.create(settings, place)),
  })
}

function explained(error: unknown, path: string, file: string): LoadedSinkModule {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  const message = messageOf(error)
  if (code === 'ERR_MODULE_NOT_FOUND') {
    const missing = /Cannot find (?:package|module) '([^']+)'/.exec(message)?.[1]
    const hint =
      missing && !/[/\\:]/.test(missing.replace(/^@[^/]+\//, '')) ? `npm install ${missing} beside it` : undefined
    return { problem: `${path} cannot be loaded: ${message.split('\n', 1)[0]}`, hint }
  }
  const hint =
    code === 'ERR_UNKNOWN_FILE_EXTENSION' || error instanceof SyntaxError
      ? 'It has to be an ES module in JavaScript: .mjs, or .js beside a package.json with "type": "module"'
      : undefined
  return { problem: `${path} cannot be loaded: ${message.split('\n', 1)[0]}${placeOf(error, file)}`, hint }
}

/** Where in the module it went wrong, as the stack has it. */
function placeOf(error: unknown, file: string): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  for (const name of [pathToFileURL(file).href, file]) {
    const [, line] = /^:(\d+)/.exec(stack.slice(stack.indexOf(name) + name.length)) ?? []
    if (stack.includes(name) && line !== undefined) return ` (line ${line})`
  }
  return ''
}

async function withinTime<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it was not loaded after ${LOAD_MS / 1000} s`)), LOAD_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
