import { defineError } from './tailraceError.js'

export const AIRBYTE_FILE_UNREADABLE = defineError('AIRBYTE_FILE_UNREADABLE', {
  retry: 'operator',
  message: (e: { option: string; path: string; problem: string }) =>
    `cannot read --${e.option} ${e.path}: ${e.problem}`,
  hint: 'Name a file with one JSON document that this account may read.',
})

export const AIRBYTE_CONFIG_INVALID = defineError('AIRBYTE_CONFIG_INVALID', {
  retry: 'operator',
  message: (e: { problems: readonly string[] }) => `the configuration cannot be used: ${e.problems.join('; ')}`,
  hint: 'tailrace-airbyte spec tells what each key takes; docs/airbyte.md has the table.',
})

export const AIRBYTE_CATALOG_INVALID = defineError('AIRBYTE_CATALOG_INVALID', {
  retry: 'operator',
  message: (e: { problem: string }) => `the configured catalog cannot be used: ${e.problem}`,
  hint: 'Make it from what tailrace-airbyte discover prints: {"streams":[{"stream":{…},"sync_mode":"incremental","destination_sync_mode":"append"}]}.',
})

export const AIRBYTE_STATE_INVALID = defineError('AIRBYTE_STATE_INVALID', {
  retry: 'operator',
  message: (e: { problem: string }) => `the state cannot be used: ${e.problem}`,
  hint: 'Give the state of the last STATE message as it was, or [] to read all rows anew.',
})

export const AIRBYTE_STREAM_UNKNOWN = defineError('AIRBYTE_STREAM_UNKNOWN', {
  retry: 'operator',
  message: (e: { stream: string; problem: string; near: string | undefined }) => `stream ${e.stream}: ${e.problem}`,
  hint: (e: { near: string | undefined }) =>
    `${e.near === undefined ? '' : `Did you mean ${e.near}? `}Discover the catalog anew. The other streams go on.`,
})

export const AIRBYTE_STREAM_TWICE = defineError('AIRBYTE_STREAM_TWICE', {
  retry: 'operator',
  message: (e: { stream: string; other: string }) =>
    `stream ${e.stream}: ${e.stream === e.other ? 'it stands twice in the catalog' : `its table is that of stream ${e.other}, too`}`,
  hint: 'Leave one of them in the configured catalog: records of a table are of one stream. The first of them, and the others, go on.',
})

export const AIRBYTE_SYNC_MODE_INVALID = defineError('AIRBYTE_SYNC_MODE_INVALID', {
  retry: 'operator',
  message: (e: { stream: string; mode: string }) => `stream ${e.stream}: there is no sync mode ${e.mode}`,
  hint: 'Sync modes are full_refresh and incremental. The other streams go on.',
})

export const AIRBYTE_KEY_INVALID = defineError('AIRBYTE_KEY_INVALID', {
  retry: 'operator',
  message: (e: { stream: string; element: string }) =>
    `stream ${e.stream}: primary key element ${e.element} is no column`,
  hint: 'Each element of primary_key is a list of exactly one column name, such as [["id"],["day"]].',
})

export const AIRBYTE_POSITION_TOO_OLD = defineError('AIRBYTE_POSITION_TOO_OLD', {
  retry: 'operator',
  message: (e: { stream: string; slot: string; confirmed: string; position: string }) =>
    `stream ${e.stream}: its saved position ${e.position} is before ${e.confirmed}, where slot "${e.slot}" stands: changes in between are gone`,
  hint: 'Reset this stream, so that it is read anew; or set on_lost_position to resync.',
})
