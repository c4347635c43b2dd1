import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PgoutputOptions } from '../../src/postgres/pgoutput/decoder.js'

/** What a decoder is given: pgoutput messages, which one stream of a connection are, or rows of COPY, each by itself. */
export type FuzzInput =
  | ({ readonly target: 'pgoutput'; readonly messages: readonly Buffer[] } & PgoutputOptions)
  | { readonly target: 'copy'; readonly columns: number; readonly messages: readonly Buffer[] }

/** A line of JSON that says what it is for, then a message a line, in base64. */
export function formatInput(input: FuzzInput): string {
  const { messages, ...facts } = input
  return `${[JSON.stringify(facts), ...messages.map((message) => message.toString('base64'))].join('\n')}\n`
}

function parseInput(text: string): FuzzInput {
  const [facts, ...lines] = text.slice(0, -1).split('\n')
  return { ...JSON.parse(facts!), messages: lines.map((line) => Buffer.from(line, 'base64')) }
}

/** The same for the same input. */
export function inputName(input: FuzzInput): string {
  const hash = createHash('sha256').update(formatInput(input)).digest('hex').slice(0, 12)
  return `${input.target}-${hash}.txt`
}

export function readCorpus(folder: string): { readonly name: string; readonly input: FuzzInput }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => ({ name, input: parseInput(readFileSync(join(folder, name), 'utf8')) }))
}
