import { defineError } from './tailraceError.js'

export const DEAD_LETTER_SINK_UNKNOWN = defineError('DEAD_LETTER_SINK_UNKNOWN', {
  retry: 'operator',
  message: (e: { sink: string; known: readonly string[] }) =>
    `the pipeline has no sink ${e.sink}; its sinks are ${e.known.join(', ')}`,
  hint: 'Name one of them with --sink, or leave it out where there is only one.',
})

export const DEAD_LETTER_UNKNOWN = defineError('DEAD_LETTER_UNKNOWN', {
  retry: 'operator',
  message: (e: { number: string; sink: string }) => `the sink ${e.sink} has no dead letter ${e.number}`,
  hint: 'It may have been written again or dropped meanwhile: tailrace dlq list shows those that are there, by their numbers.',
})

export const DEAD_LETTERS_DAMAGED = defineError('DEAD_LETTERS_DAMAGED', {
  retry: 'operator',
  message: (e: { path: string; at: number; problem: string }) => `${e.path} is damaged at byte ${e.at}: ${e.problem}`,
  hint: 'Each line is one letter, as docs/dead-letters.md has it. Mend or take out that line while nothing runs, or list from behind it with --from.',
})

export const DEAD_LETTER_NOT_A_ROW = defineError('DEAD_LETTER_NOT_A_ROW', {
  retry: 'operator',
  message: (e: { id: string; problem: string }) =>
    `the dead letter of record ${e.id} cannot be written again: ${e.problem}`,
  hint: 'Write it to where it belongs by hand (tailrace dlq show has all of it), then take it out: tailrace dlq drop.',
})

export const DEAD_LETTER_SUPERSEDED = defineError('DEAD_LETTER_SUPERSEDED', {
  retry: 'operator',
  message: (e: { id: string; table: string; problem: string }) =>
    `the dead letter of record ${e.id} is not what the source has in ${e.table} now: ${e.problem}`,
  hint: 'Written again it would stand above what came after it. Nothing needs it any more: take it out with tailrace dlq drop, or all such with tailrace dlq replay --drop-superseded. --force writes it all the same.',
})

export const DEAD_LETTER_UNPROVED = defineError('DEAD_LETTER_UNPROVED', {
  retry: 'operator',
  message: (e: { id: string; table: string; problem: string }) =>
    `whether the dead letter of record ${e.id} is older than what ${e.table} has now cannot be told: ${e.problem}`,
  hint: 'Compare the row at the source and the target yourself; --force writes the letter whatever is there, tailrace dlq drop takes it out.',
})

export const DEAD_LETTER_ROW_MISSING = defineError('DEAD_LETTER_ROW_MISSING', {
  retry: 'operator',
  message: (e: { id: string; table: string; unchanged: string }) =>
    `the dead letter of record ${e.id} is an update without the values of ${e.unchanged}, and ${e.table} has no row that has them`,
  hint: (e) =>
    `Read the row once more: tailrace signal resnapshot --where … ${e.table}; then take the letter out with tailrace dlq drop.`,
})

export const DEAD_LETTER_FORMAT = defineError('DEAD_LETTER_FORMAT', {
  retry: 'operator',
  message: (e: { id: string; table: string; format: string }) =>
    `the dead letter of record ${e.id} cannot be written as ${e.format}: that takes the types of its columns, and ${e.table} of the source has others now, or processors made them`,
  hint: 'Read the row once more (tailrace signal resnapshot --where …), or write it by hand (tailrace dlq show has all of it); then take the letter out with tailrace dlq drop.',
})

export const DEAD_LETTERS_BUSY = defineError('DEAD_LETTERS_BUSY', {
  retry: 'later',
  message: (e: { sink: string; problem: string }) =>
    `the dead letters of the sink ${e.sink} cannot be changed now: ${e.problem}`,
  hint: 'Wait until that is done, and try again: nothing was lost, and what was written again is no longer among them.',
})

export const DEAD_LETTERS_OF_RUN = defineError('DEAD_LETTERS_OF_RUN', {
  retry: 'operator',
  message: (e: { sink: string; pid: number }) =>
    `process ${e.pid} runs the pipeline, and only it may write to what the sink ${e.sink} writes to`,
  hint: 'With http: in the pipeline’s file the run listens there, and this command has it write them. One that was started with --http is asked by its page, or POST /api/dlq/replay. Or stop it, replay, and start it again.',
})

export const DEAD_LETTERS_UNCONFIRMED = defineError('DEAD_LETTERS_UNCONFIRMED', {
  retry: 'operator',
  message: (e: { what: string }) => `nobody has confirmed that ${e.what} are to be taken out for good`,
  hint: 'Add --yes, or answer yes at a terminal.',
})
