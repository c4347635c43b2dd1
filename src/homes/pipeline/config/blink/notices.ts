import type { PipelineProblem } from '../../../../core/pipelineErrors.js'
import type { Place } from '../configTree.js'

/** What of a file has no effect, or another one than its author may think. */
export class Notices {
  readonly all: PipelineProblem[] = []

  tell({ line, column }: Place, setting: string, problem: string): void {
    this.all.push({ line, column, setting, problem, hint: undefined })
  }
}
