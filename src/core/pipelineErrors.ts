import { defineError } from './tailraceError.js'

/** One mistake in a pipeline's file. */
export interface PipelineProblem {
  /** Counted from 1. */
  readonly line: number
  readonly column: number
  /** Which setting, such as `sinks.archive.path`; empty for the file as a whole. */
  readonly setting: string
  /** What is wrong, and what was expected. Never a value that came from the environment, nor a secret. */
  readonly problem: string
  /** What to write instead, where that can be guessed. */
  readonly hint: string | undefined
}

/** As compilers write it, so that editors find the place. */
export function formatProblem(path: string, { line, column, setting, problem, hint }: PipelineProblem): string {
  const text = setting === '' ? problem : `${setting}: ${problem}`
  return `${path}:${line}:${column}: ${text}${hint === undefined ? '' : `. ${hint}`}`
}

export const PIPELINE_UNREADABLE = defineError('PIPELINE_UNREADABLE', {
  retry: 'operator',
  message: (e: { path: string; problem: string }) => `cannot read the pipeline ${e.path}: ${e.problem}`,
  hint: 'Name a file that is there and readable, as tailrace run pipeline.yaml. docs/pipelines.md says what stands in it.',
})

export const PIPELINE_INVALID = defineError('PIPELINE_INVALID', {
  retry: 'operator',
  message: (e: { mistake: string; more: number; problems: readonly PipelineProblem[] }) =>
    `${e.mistake}${e.more > 0 ? `; and ${e.more} more` : ''}`,
  hint: 'tailrace validate shows every mistake; docs/pipelines.md has all settings.',
})

export const PIPELINES_CLASH = defineError('PIPELINES_CLASH', {
  retry: 'operator',
  message: (e: { one: string; other: string; both: string }) => `${e.one} and ${e.other} have the same ${e.both}`,
  hint: 'Each pipeline needs a name, a state file, a slot and outputs of its own. Nothing was started.',
})

export const OUTPUT_MISMATCH = defineError('OUTPUT_MISMATCH', {
  retry: 'operator',
  message: (e: { path: string; problem: string }) => `${e.path} does not fit what is recorded of it: ${e.problem}`,
  hint: 'Put back the file, or the settings, that the run had. Or begin anew: remove the state file, drop the slot, empty what all sinks of the pipeline have.',
})

export const OUTPUT_EXISTS = defineError('OUTPUT_EXISTS', {
  retry: 'operator',
  message: (e: { path: string }) => `${e.path} is there already, and is not of this pipeline’s state`,
  hint: 'Move it away, or give the files another path: {date} and {time} in the name tell runs apart.',
})

export const LINE_TOO_LONG = defineError('LINE_TOO_LONG', {
  retry: 'operator',
  message: (e: { table: string; id: string; bytes: number; limit: number }) =>
    `a record of ${e.table} (id ${e.id}) makes a line of ${e.bytes} bytes, and max_line_bytes is ${e.limit}`,
  hint: 'Raise max_line_bytes, or leave large columns out at the source (setting "columns"), and start again; or have such records put aside: on_error: dead-letter.',
})

export const SINKS_APART = defineError('SINKS_APART', {
  retry: 'operator',
  message: (e: { sinks: readonly string[] }) =>
    `the sinks ${e.sinks.join(' and ')} stopped at different places of long polling, or before and after a snapshot was begun, and what the one is missing cannot be told from what the other has`,
  hint: 'Begin anew: remove the state file, drop the slot, empty what the sinks have. Or give each its own pipeline and slot.',
})

export const SINK_REWOUND = defineError('SINK_REWOUND', {
  retry: 'later',
  message: (e: { sink: string }) => `the sink ${e.sink} has lost what it had not committed`,
  hint: 'The pipeline begins again where the sink stands, by itself.',
})

export const VALUE_MISFIT = defineError('VALUE_MISFIT', {
  retry: 'operator',
  message: (e: { table: string; column: string; declared: string; problem: string }) =>
    `a value of ${e.table}.${e.column} does not fit ${e.declared}, as which stream_schema declares the column: ${e.problem}`,
  hint: 'Declare the column as what holds all its values (String always does), and start again; or have such records put aside: on_error: dead-letter.',
})

export const STREAM_SCHEMA_MISMATCH = defineError('STREAM_SCHEMA_MISMATCH', {
  retry: 'operator',
  message: (e: { problems: readonly string[] }) => `stream_schema does not fit the database: ${e.problems.join('; ')}`,
  hint: 'Declare what is there, or set source.lenient: true, by which such columns are written as text.',
})

export const SLOT_OF_BLINK = defineError('SLOT_OF_BLINK', {
  retry: 'operator',
  message: (e: { slot: string; plugin: string }) =>
    `replication slot "${e.slot}" is of output plugin ${e.plugin} (Blink's are of wal2json), which cannot be read here`,
  hint: (e) =>
    `What the slot holds back cannot be taken over. Stop Blink, give source.config.slot_name another name and stream_snapshot: true: a new slot is made, and all rows are read. When nobody needs the old one drop it, since it holds WAL: SELECT pg_drop_replication_slot('${e.slot}').`,
})
