import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PgoutputOptions } from '../../src/postgres/pgoutput/decoder.js'
import { REPOSITORY } from './compiled.js'

/** What one slot gave for the scenario of pgoutputScenario.ts, read with one set of options. */
export interface PgoutputCapture extends PgoutputOptions {
  /** As in `SHOW server_version`. */
  readonly server: string
  readonly twoPhase: boolean
  /** Every message, as in the payload of an XLogData. */
  readonly messages: readonly Buffer[]
}

const FOLDER = join(REPOSITORY, 'test/fixtures/pgoutput')

/** The changes of the scenario's committed transactions, in order: the same for every server and all options. */
export const SCENARIO_FILE = join(FOLDER, 'scenario.txt')

export function captureFile(capture: PgoutputCapture): string {
  return join(FOLDER, `${captureName(capture)}.txt`)
}

/** `18-v4-parallel-twophase` */
export function captureName({ server, protocolVersion, streaming, twoPhase }: PgoutputCapture): string {
  const major = server.split('.')[0]
  return `${major}-v${protocolVersion}-${streaming}${twoPhase ? '-twophase' : ''}`
}

/** A line of JSON with the options, then a message a line, in base64. */
export function formatCapture({ messages, ...options }: PgoutputCapture): string {
  return `${[JSON.stringify(options), ...messages.map((message) => message.toString('base64'))].join('\n')}\n`
}

/** `folder`: for a program that was compiled to another place. */
export function readCaptures(folder = FOLDER): PgoutputCapture[] {
  return readdirSync(folder)
    .filter((name) => /^\d+-v/.test(name))
    .sort()
    .map((name) => {
      const [options, ...lines] = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n')
      return { ...JSON.parse(options!), messages: lines.map((line) => Buffer.from(line, 'base64')) }
    })
}
