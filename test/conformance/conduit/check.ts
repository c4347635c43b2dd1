import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { Random } from '../../chaos/random.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { tailrace } from '../../support/tailrace.js'
import { type HostConfig, HostPipeline } from './goHost.js'

/** One promise that is shown. `run` throws when it does not hold; what it gives is printed beside it. */
export interface Check {
  readonly name: string
  run(bench: Bench): Promise<string>
}

/** What checks work with. */
export interface Bench {
  readonly source: EmbeddedPostgres
  readonly target: EmbeddedPostgres
  readonly major: number
  /** The Go host, and our executable. */
  readonly host: string
  readonly plugin: string
  /** For the files of pipelines. */
  readonly folder: string
  readonly random: Random
  readonly kills: number
  readonly log: (line: string) => void
}

/** With schemas (Avro), and the two forms without. */
export const FORMATS = {
  avro: { 'logrepl.withAvroSchema': 'true' },
  structured: { 'logrepl.withAvroSchema': 'false', 'payload.format': 'structured' },
  json: { 'logrepl.withAvroSchema': 'false', 'payload.format': 'json' },
} as const
export type Format = keyof typeof FORMATS

let pipelines = 0

/** A new one; `source` has what every source needs. */
export function newPipeline(bench: Bench, config: HostConfig): HostPipeline {
  return new HostPipeline(bench.host, bench.plugin, join(bench.folder, `pipeline-${++pipelines}`), config)
}

/** A database of the source and one of the target, dropped at the end. */
export async function databases(bench: Bench, sql: string, targetSql = sql) {
  const from = await testDatabase(bench.source, sql)
  from.expectSlots = true
  const to = await testDatabase(bench.target, targetSql)
  return { from, to, [Symbol.asyncDispose]: () => disposeAll(from, to) }
}

async function disposeAll(...all: TestDatabase[]): Promise<void> {
  for (const one of all) await one[Symbol.asyncDispose]()
}

export function sourceSettings(url: string, tables: string, more: Readonly<Record<string, string>> = {}) {
  const name = `conformance_${new URL(url).pathname.slice(1)}`
  return { url, tables, 'logrepl.slotName': name, 'logrepl.publicationName': name, ...more }
}

/** To the table of the same schema and name. */
export const SAME_TABLE = '{{ index .Metadata "postgres.schema" }}.{{ index .Metadata "opencdc.collection" }}'

/** A decoded record: see host/values.go. */
export interface Line {
  readonly position: string
  readonly operation: string
  readonly metadata: Readonly<Record<string, string>>
  readonly key: unknown
  readonly before: unknown
  readonly after: unknown
}

export function readLines(file: string): Line[] {
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8')
  // What is still being written is left out.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole === ''
    ? []
    : whole
        .slice(0, -1)
        .split('\n')
        .map((line) => JSON.parse(line) as Line)
}

/** Throws what `tailrace verify` says when the sides are not equal. */
export async function verifyEqual(source: string, target: string, tables: string): Promise<void> {
  const args = ['verify', '--source', source, '--target', target, '--tables', tables, '--settle', '0']
  const { code, stdout, stderr } = await tailrace(args)
  if (code !== 0) throw new Error(`tailrace verify ended with ${code}: ${stdout}${stderr}`)
}

export function expectEqual(is: unknown, wanted: unknown, what: string): void {
  const [left, right] = [JSON.stringify(is), JSON.stringify(wanted)]
  if (left !== right) throw new Error(`${what} is ${short(left)}, not ${short(right)}`)
}

export function expect(is: boolean, what: string): void {
  if (!is) throw new Error(what)
}

function short(text: string | undefined): string {
  return text === undefined || text.length < 4000 ? String(text) : `${text.slice(0, 4000)}…`
}
