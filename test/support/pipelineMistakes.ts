import { expect } from 'vitest'
import { formatProblem, PIPELINE_INVALID, type PipelineProblem } from '../../src/core/pipelineErrors.js'
import type { TailraceError } from '../../src/core/tailraceError.js'

/** Each mistake that `parse` finds as `validate` prints it. None shows the secret. */
export function mistakesOf(parse: () => unknown, secret: string): string[] {
  try {
    parse()
    return []
  } catch (error) {
    if (!PIPELINE_INVALID.is(error)) throw error
    const { problems } = (error as TailraceError).details as { problems: PipelineProblem[] }
    const told = problems.map((problem) => formatProblem('', problem).slice(1))
    expect(`${told}${error}${JSON.stringify((error as TailraceError).details)}`).not.toContain(secret)
    return told
  }
}
