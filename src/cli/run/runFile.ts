import { OPTION_INVALID } from '../../core/errors.js'
import type { HttpSettings } from '../../homes/pipeline/config/readHttp.js'
import { chooseHttp } from '../../homes/pipeline/http/httpChoice.js'
import { unloadGrammar, useGrammarBriefly } from '../../processors/sql/grammar.js'
import { fail } from '../failure.js'
import { configureLog, log, logOf } from '../log.js'
import { Signals } from '../signals.js'
import { OnePipeline, type PipelineOptions } from './onePipeline.js'
import { openHttp } from './openHttp.js'
import { readFiles } from './readFiles.js'

const WRONG_USAGE = 2

export type RunOptions = PipelineOptions & HttpSettings

/** Runs `tailrace run`; gives the exit code. */
export async function runFile(path: string, options: RunOptions): Promise<number> {
  const format = options.log ?? (process.stderr.isTTY ? 'text' : 'json')
  configureLog({ format, level: options.quiet ? 'warn' : options.verbose ? 'debug' : 'info' })
  useGrammarBriefly()
  const found = await readFiles(path)
  if (found === undefined) return WRONG_USAGE
  const { isFolder } = found
  if (isFolder && found.pipelines.length > 1 && typeof options.control === 'string') {
    const problem = 'one socket for signals is named, and there are several pipelines'
    throw OPTION_INVALID({ problem, near: '--no-control, or none of it: each listens beside its state file' })
  }
  const { http, httpToken, httpTokenFile } = options
  const choice = await chooseHttp(
    { http, httpToken, httpTokenFile },
    found.pipelines.map(({ path, config }) => ({ path, http: config.http })),
  )
  const pipelines = found.pipelines.map(({ config }) => {
    return new OnePipeline(config, { ...options, format, log: isFolder ? logOf(config.name) : log, alone: !isFolder })
  })
  // All SQL was read.
  unloadGrammar()
  const signals = new Signals()
  try {
    await using server = choice && (await openHttp(choice, pipelines))
    void server
    if (isFolder) return await runTogether(pipelines, signals.signal)
    await pipelines[0]!.run(signals.signal)
    return 0
  } finally {
    signals.release()
  }
}

/** Each for itself: the exit code is that of the first that failed, and 0 if none did. */
async function runTogether(pipelines: readonly OnePipeline[], signal: AbortSignal): Promise<number> {
  let running = pipelines.length
  let code = 0
  const run = async (pipeline: OnePipeline) => {
    try {
      await pipeline.run(signal)
      running--
    } catch (error) {
      const failed = fail(error, pipeline.log)
      if (code === 0) code = failed
      running--
      const others = running === 0 ? '' : `; ${running} ${running === 1 ? 'other goes' : 'others go'} on`
      pipeline.log('error', `this pipeline has failed${others}`, { event: 'pipeline-failed', running })
    }
  }
  await Promise.all(pipelines.map(run))
  return code
}
