import { formatProblem, PIPELINE_INVALID, type PipelineProblem } from '../../core/pipelineErrors.js'
import { type PipelineConfig, readPipeline } from '../../homes/pipeline/config/pipelineConfig.js'
import { log } from '../log.js'
import { print } from '../print.js'

const WRONG_USAGE = 2

/** Runs `tailrace validate`; gives the exit code. */
export async function validateFile(path: string): Promise<number> {
  const config = await readOrTell(path)
  if (config === undefined) return WRONG_USAGE
  tellNotices(path, config)
  const sinks = config.sinks.map(({ name, type }) => (name === type ? name : `${name} (${type})`))
  await print(`${path} can be run: pipeline ${config.name} to ${sinks.join(', ')}; its state is ${config.statePath}\n`)
  return 0
}

/** What of the file has no effect, a line each. */
export function tellNotices(path: string, { notices = [] }: PipelineConfig): void {
  for (const notice of notices) log('info', formatProblem(path, notice), { event: 'notice', ...notice })
}

/** The pipeline; undefined when the file has mistakes, which are told then, a line each. */
export async function readOrTell(path: string): Promise<PipelineConfig | undefined> {
  try {
    return await readPipeline(path)
  } catch (error) {
    if (!PIPELINE_INVALID.is(error)) throw error
    for (const problem of error.details.problems as readonly PipelineProblem[]) {
      log('error', formatProblem(path, problem), { code: error.code, ...problem })
    }
    return undefined
  }
}
