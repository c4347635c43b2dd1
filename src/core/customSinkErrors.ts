import { defineError } from './tailraceError.js'

export const SINK_FAILED = defineError('SINK_FAILED', {
  retry: 'operator',
  message: (e: { sink: string; call: string; problem: string; hint: string | undefined }) =>
    `the sink ${e.sink} failed in ${e.call}: ${e.problem}`,
  hint: (e) =>
    e.hint ??
    'It is a sink of your own: its error is the cause. Mend it and start again: it goes on where its last flush was.',
})

export const SINK_UNAVAILABLE = defineError('SINK_UNAVAILABLE', {
  retry: 'later',
  message: (e: { sink: string; call: string; problem: string; hint: string | undefined }) =>
    `the sink ${e.sink} cannot go on for now, in ${e.call}: ${e.problem}`,
  hint: (e) => e.hint ?? 'It is opened anew, and gets what it had not made durable; `retry` says when, and how often.',
})

export const SINK_INVALID = defineError('SINK_INVALID', {
  retry: 'operator',
  message: (e: { sink: string; problem: string }) => `the sink ${e.sink} is none: ${e.problem}`,
  hint: 'docs/sinks/own.md says what a sink is; sinkContract of tailrace/testing checks one.',
})

export const SINK_REJECTED = defineError('SINK_REJECTED', {
  retry: 'operator',
  message: (e: { problem: string }) => e.problem,
  hint: 'The sink says that no other try could write the record. It is put aside where on_error is dead-letter.',
})
