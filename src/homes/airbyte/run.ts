import { TailraceError } from '../../core/tailraceError.js'
import { check } from './check.js'
import type { CommandLine } from './commandLine.js'
import { type AirbyteConfig, readConfig } from './config/readConfig.js'
import { specMessage } from './config/spec.js'
import { discover } from './discover/discover.js'
import { describeFailure, failureMessage } from './protocol/failure.js'
import type { MessageOutput } from './protocol/messageOutput.js'
import { connectionStatusMessage } from './protocol/messages.js'
import { readCatalog } from './read/configuredCatalog.js'
import { read } from './read/read.js'
import { NO_STATE, readState } from './read/savedState.js'
import { readJson } from './readJson.js'

const OK = 0
const FAILED = 1

export interface Surroundings {
  /** Ends a `read`, with a STATE of all that was written. */
  readonly signal: AbortSignal
  /** File of the thread that may write records; without it all is done in one. */
  readonly recordWorker?: URL | undefined
}

/** Runs one command of the protocol; gives the exit code. Whatever goes wrong is said on the output. */
export async function runCommand(line: CommandLine, output: MessageOutput, around: Surroundings): Promise<number> {
  try {
    return await COMMANDS[line.command](line, output, around)
  } catch (error) {
    output.send(failureMessage(error))
    return FAILED
  } finally {
    await output.flushed()
  }
}

type Run = (line: CommandLine, output: MessageOutput, around: Surroundings) => Promise<number>

const COMMANDS: Readonly<Record<CommandLine['command'], Run>> = {
  async spec(_, output) {
    output.send(specMessage())
    return OK
  },
  async check(line, output) {
    try {
      await check(await configOf(line, output), output)
    } catch (error) {
      if (!(error instanceof TailraceError)) throw error
      output.send(connectionStatusMessage('FAILED', describeFailure(error)))
    }
    return OK
  },
  async discover(line, output) {
    await discover(await configOf(line, output), output)
    return OK
  },
  async read(line, output, around) {
    const config = await configOf(line, output)
    const catalog = readCatalog(await readJson('catalog', line.catalog))
    const state = line.state === undefined ? NO_STATE : readState(await readJson('state', line.state))
    // A run that waits for its server writes nothing else that could fail.
    const signal = AbortSignal.any([around.signal, output.lost])
    return (await read({ config, catalog, state, output, ...around, signal })) ? OK : FAILED
  },
}

async function configOf({ config: path }: CommandLine, output: MessageOutput): Promise<AirbyteConfig> {
  const config = readConfig(await readJson('config', path))
  for (const warning of config.warnings) output.log('WARN', warning)
  return config
}
