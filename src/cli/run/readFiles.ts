import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  formatProblem,
  PIPELINE_INVALID,
  PIPELINE_UNREADABLE,
  type PipelineProblem,
} from '../../core/pipelineErrors.js'
import { type FilePipeline, refuseClashes } from '../../homes/pipeline/config/clashes.js'
import { readPipeline } from '../../homes/pipeline/config/pipelineConfig.js'
import { log } from '../log.js'

export interface FoundPipelines {
  readonly pipelines: readonly FilePipeline[]
  /** They are those of a folder, be it only one. */
  readonly isFolder: boolean
}

/**
 * The pipeline of a file, or all of a folder; undefined when one has mistakes, which are told then, a line each. Throws when two of
 * them would get into each other's way.
 */
export async function readFiles(path: string): Promise<FoundPipelines | undefined> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() === true
  const paths = isFolder ? await filesIn(path) : [path]
  const pipelines: FilePipeline[] = []
  for (const one of paths) {
    const pipeline = await readOrTell(one)
    if (pipeline !== undefined) pipelines.push(pipeline)
  }
  if (pipelines.length < paths.length) return undefined
  refuseClashes(pipelines)
  for (const { path, config } of pipelines) {
    for (const notice of config.notices ?? []) log('info', formatProblem(path, notice), { event: 'notice', ...notice })
  }
  return { pipelines, isFolder }
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => /^[^.].*\.ya?ml$/i.test(name)).sort()
  if (names.length === 0) {
    throw PIPELINE_UNREADABLE({ path: folder, problem: 'the folder has no file whose name ends in .yaml or .yml' })
  }
  return names.map((name) => join(folder, name))
}

/** The pipeline of a file; undefined when it has mistakes, which are told then, a line each. */
export async function readOrTell(path: string): Promise<FilePipeline | undefined> {
  try {
    return { path, config: await readPipeline(path) }
  } catch (error) {
    if (!PIPELINE_INVALID.is(error)) throw error
    for (const problem of error.details.problems as readonly PipelineProblem[]) {
      log('error', formatProblem(path, problem), { code: error.code, ...problem })
    }
    return undefined
  }
}
