import type { LogLevel } from '../../core/logLevel.js'
import { count, describeSeconds } from '../../core/quantity.js'
import type { PipelineEvent, PipelineSummary, SinkSummary } from '../../homes/pipeline/run/events.js'
import type { Log } from '../log.js'

/** More tables are not named in the summary. */
const NAMED_TABLES = 20

/** Tells what a pipeline tells, in words. */
export function tell(event: PipelineEvent, say: Log): void {
  const { type, ...facts } = event
  const cause = 'cause' in event && { cause: { code: codeOf(event.cause), message: event.cause.message } }
  say(LEVELS[type], describe(event), { event: type, ...facts, ...cause })
}

const LEVELS: Readonly<Record<PipelineEvent['type'], LogLevel>> = {
  'processor-notice': 'warn',
  'processor-skipped': 'warn',
  'processor-record': 'info',
  'sink-retrying': 'warn',
  'sink-recovered': 'warn',
  'sink-dead-letters': 'warn',
  'circuit-opened': 'warn',
  'circuit-closed': 'warn',
  'key-building': 'info',
  'key-built': 'info',
  'sink-notice': 'info',
  'sink-failed': 'error',
  'declared-otherwise': 'warn',
  'sink-gone': 'warn',
  'sinks-alone': 'info',
}

function describe(event: PipelineEvent): string {
  switch (event.type) {
    case 'processor-notice':
      return `warning: processor ${event.processor}: ${event.problem}. ${event.hint}`
    case 'processor-skipped':
      return `warning: processor ${event.processor} has left out a record of ${event.table} (id ${event.id}): ${event.problem}`
    case 'processor-record':
      return `processor ${event.processor}: ${event.record}`
    case 'sink-retrying':
      return `sink ${event.sink}: ${event.cause.message}; trying again in ${describeSeconds(event.delayMs / 1000)}`
    case 'sink-recovered':
      return `sink ${event.sink} goes on`
    case 'sink-dead-letters':
      return `warning: sink ${event.sink} has put ${plural(event.count)} aside as dead letters, the last one because: ${event.problem}`
    case 'circuit-opened':
      return `warning: sink ${event.sink}: ${event.cause.message}; after ${event.failures} failures in a row ${event.endpoint} is left alone, and asked again every ${describeSeconds(event.seconds)}`
    case 'circuit-closed':
      return `sink ${event.sink}: ${event.endpoint} works again, after ${describeSeconds(event.seconds)}`
    case 'key-building':
      return `sink ${event.sink} builds the key of ${event.table}, whose rows are copied`
    case 'key-built':
      return `sink ${event.sink} has built the key of ${event.table} in ${describeSeconds(event.seconds)}`
    case 'sink-notice':
      return `sink ${event.sink}: ${event.message}`
    case 'declared-otherwise':
      return `warning: ${event.warning}`
    case 'sink-failed':
      return `sink ${event.sink} failed, and the pipeline ends`
    case 'sink-gone':
      return `warning: the sink ${event.sink} is no longer in the file, and its place is forgotten`
    case 'sinks-alone':
      return `${event.sinks.join(' and ')} stopped elsewhere in the snapshot than other sinks, and ${event.sinks.length > 1 ? 'get' : 'gets'} the rest of it alone first`
  }
}

function codeOf(error: Error): string | undefined {
  return (error as { code?: string }).code
}

/** Tells how it went. */
export function summarise(name: string, { seconds, tables, sinks }: PipelineSummary, say: Log): void {
  const records = [...tables.values()].reduce((sum, one) => sum + one, 0)
  const byTable = [...tables].sort(([, a], [, b]) => b - a)
  const named = byTable.slice(0, NAMED_TABLES).map(([table, rows]) => `${table} ${count(rows)}`)
  const more = byTable.length > NAMED_TABLES ? [`${byTable.length - NAMED_TABLES} more tables`] : []
  const list = named.length === 0 ? '' : `: ${[...named, ...more].join(', ')}`
  const facts = { event: 'pipeline-ended', seconds, records, tables: Object.fromEntries(tables), sinks }
  say('info', `pipeline ${name} ended after ${describeSeconds(seconds)}, ${plural(records)} read${list}`, facts)
  for (const sink of sinks) {
    const aside = sink.deadLetters === 0 ? '' : `, ${count(sink.deadLetters)} of them put aside as dead letters`
    const facts = { event: 'sink-ended', ...sink }
    say('info', `sink ${sink.name} has ${plural(sink.records)} of this run${aside}${outagesOf(sink)}`, facts)
  }
}

function outagesOf({ outages }: SinkSummary): string {
  if (outages === undefined || outages.count === 0) return ''
  const times = outages.count === 1 ? 'once' : `${count(outages.count)} times`
  return `; its endpoint was left alone ${times}, for ${describeSeconds(outages.seconds)}`
}

function plural(records: number): string {
  return `${count(records)} record${records === 1 ? '' : 's'}`
}
