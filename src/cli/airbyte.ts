#!/usr/bin/env node
import '../postgres/navigator.js'
import { OUTPUT_CLOSED } from '../core/errors.js'
import { parseCommandLine, USAGE } from '../homes/airbyte/commandLine.js'
import { MessageOutput } from '../homes/airbyte/protocol/messageOutput.js'
import { runCommand } from '../homes/airbyte/run.js'
import { Signals } from './signals.js'
import { RECORD_WORKER } from './threads.js'

/** What a shell shows for a program that died of SIGPIPE. */
const CLOSED_PIPE = 141
const WRONG_USAGE = 2

async function main(argv: readonly string[]): Promise<number> {
  const line = parseCommandLine(argv)
  if (line === '') {
    process.stderr.write(USAGE)
    return 0
  }
  if (typeof line === 'string') {
    process.stderr.write(`tailrace-airbyte: ${line}\n${USAGE}`)
    return WRONG_USAGE
  }
  // A client that has its message ends the others by SIGTERM, and takes any end but that for a failure.
  const signal = line.command === 'read' ? new Signals().signal : new AbortController().signal
  try {
    return await runCommand(line, new MessageOutput({ debug: line.debug }), {
      signal,
      recordWorker: RECORD_WORKER,
    })
  } catch (error) {
    if (OUTPUT_CLOSED.is(error)) return CLOSED_PIPE
    process.stderr.write(`tailrace-airbyte: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

process.stderr.on('error', () => {})
process.exitCode = await main(process.argv.slice(2))
// What is left open must not keep the process.
process.exit()
