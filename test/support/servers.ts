import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findNative, platformName } from '../../src/cli/embedded/binaries.js'
import { type EmbeddedOptions, EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import { leaseServer } from './serverPool.js'
import { waitFor } from './waitFor.js'

const SUPPORTED_MAJORS = [14, 15, 16, 17, 18] as const

/** Where globalSetup.ts keeps what all test files of a run share; handed down to the workers and their children. */
export const RUN_FOLDER_VARIABLE = 'TAILRACE_TEST_RUN_FOLDER'

/** The majors installed by the workspace test/servers that this run is about (`TAILRACE_TEST_MAJORS=14,18`). */
export const majors: readonly number[] = chosenMajors()

/** For tests where the major makes no difference. */
export const DEFAULT_MAJOR = Number(process.env.TAILRACE_TEST_MAJOR ?? 17)

export interface ServerOptions extends Omit<EmbeddedOptions, 'binaries' | 'templateData'> {
  /** Default DEFAULT_MAJOR. */
  readonly major?: number | undefined
  /** initdb of its own: servers from the template all have the same system identifier. Costs 0.7 s. */
  readonly ownSystemIdentifier?: boolean | undefined
  /** A stopped server's data folder to begin with, for instance a standby's. */
  readonly templateData?: string | undefined
}

/**
 * A server: `await using server = await startServer()`. One of which nothing special is asked may have been another test
 * file's, which costs a tenth; nothing of that is left in it but what its log says.
 */
export async function startServer(options: ServerOptions = {}): Promise<EmbeddedPostgres> {
  const start = async () => EmbeddedPostgres.start(await embeddedOptions(options))
  const { major = DEFAULT_MAJOR, ...special } = options
  if (process.env[RUN_FOLDER_VARIABLE] === undefined || Object.keys(special).length > 0) return start()
  return leaseServer(`${major}`, start)
}

/** The same without starting it: put files into `dataFolder`, then `restart()`. */
export async function prepareServer(options: ServerOptions = {}): Promise<EmbeddedPostgres> {
  return EmbeddedPostgres.initialise(await embeddedOptions(options))
}

export function binariesOf(major: number): string[] {
  return [`postgres-${major}-${platformName}`]
}

async function embeddedOptions(options: ServerOptions): Promise<EmbeddedOptions> {
  const { major = DEFAULT_MAJOR, ownSystemIdentifier, templateData, ...rest } = options
  const settings = { max_prepared_transactions: '10', ...options.settings }
  const template = templateData ?? (ownSystemIdentifier ? undefined : await templateOf(major))
  return { ...rest, settings, binaries: binariesOf(major), templateData: template }
}

/** Made by the first worker that asks, while the others wait; a folder is made by exactly one of several `mkdir`. */
async function templateOf(major: number): Promise<string | undefined> {
  const runFolder = process.env[RUN_FOLDER_VARIABLE]
  if (runFolder === undefined) return undefined // outside vitest everybody runs initdb
  const template = join(runFolder, `template-${major}`)
  const failure = join(runFolder, `template-${major}.failed`)
  if (existsSync(template)) return template
  const first = await mkdir(join(runFolder, `template-${major}.lock`)).then(
    () => true,
    () => false,
  )
  if (first) await makeTemplate(major, template).catch((error) => writeFile(failure, String(error)))
  await waitFor(() => existsSync(template) || existsSync(failure), {
    what: `the template of PostgreSQL ${major}`,
    timeoutMs: 60_000,
  })
  // the failed one is reported by trying it here, in the open
  return existsSync(template) ? template : undefined
}

async function makeTemplate(major: number, target: string): Promise<void> {
  const server = await EmbeddedPostgres.initialise({ binaries: binariesOf(major) })
  try {
    await rename(server.dataFolder, target)
  } finally {
    await server[Symbol.asyncDispose]()
  }
}

function chosenMajors(): number[] {
  const installed = SUPPORTED_MAJORS.filter(isInstalled)
  const wanted = process.env.TAILRACE_TEST_MAJORS?.split(',').map(Number)
  const missing = wanted?.filter((major) => !installed.some((one) => one === major)) ?? []
  if (missing.length > 0) throw new Error(`TAILRACE_TEST_MAJORS names ${missing}, installed are ${installed}`)
  return wanted ?? installed
}

function isInstalled(major: number): boolean {
  try {
    findNative(binariesOf(major))
    return true
  } catch {
    return false
  }
}
