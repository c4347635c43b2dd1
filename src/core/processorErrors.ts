import { defineError } from './tailraceError.js'

export const PROCESSOR_UNFIT = defineError('PROCESSOR_UNFIT', {
  retry: 'operator',
  message: (e: { processor: string; table: string; problem: string }) =>
    `the processor ${e.processor} cannot be used on ${e.table}: ${e.problem}`,
  hint: 'Change the processor, or choose its tables with "streams". Nothing of the table has gone on: the same command does, with the file mended.',
})

export const PROCESSOR_FAILED = defineError('PROCESSOR_FAILED', {
  retry: 'operator',
  message: (e: { processor: string; table: string; id: string; problem: string }) =>
    `the processor ${e.processor} failed on a record of ${e.table} (id ${e.id}): ${e.problem}`,
  hint: 'Mend the row or the processor, and start again: the record comes once more. on_error: skip leaves such records out, and says so.',
})
