import { encodeNdjson } from '../../codec/ndjson.js'
import type { RowBatch } from '../../core/rowBatch.js'
import type { Plan, Processor } from '../processor.js'
import { processorType } from '../processorType.js'

/** `type: log`. */
export const logType = processorType({
  settings: {},
  create: (_, { log }) => [new LogProcessor(log)],
})

class LogProcessor implements Processor {
  readonly #log: (line: string) => void

  constructor(log: (line: string) => void) {
    this.#log = log
  }

  plan(): Plan {
    return { kind: 'look', look: (rows: RowBatch, index: number) => this.#log(lineOf(rows, index)) }
  }
}

function lineOf(rows: RowBatch, index: number): string {
  return encodeNdjson(rows.part(index, index + 1))
    .toString()
    .trimEnd()
}
