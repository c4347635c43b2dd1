import type { ProcessorProblem } from '../processorType.js'
import { ExpressionProblem } from './problem.js'

/** What is wrong with the SQL of a setting, if anything is. */
export function problemOf(name: string, parse: () => unknown): readonly ProcessorProblem[] {
  try {
    parse()
    return []
  } catch (error) {
    if (!(error instanceof ExpressionProblem)) throw error
    return [{ name, problem: error.problem, at: error.at }]
  }
}
