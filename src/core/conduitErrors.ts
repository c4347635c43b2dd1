import { defineError } from './tailraceError.js'

/** One mistake in a connector's settings. */
export interface SettingProblem {
  readonly name: string
  /** Absent where it is secret, or there is none. */
  readonly value: string | undefined
  readonly problem: string
}

export const CONNECTOR_INVALID = defineError('CONNECTOR_INVALID', {
  retry: 'operator',
  message: (e: { problems: readonly SettingProblem[] }) =>
    e.problems
      .map(({ name, value, problem }) => `setting "${name}"${value === undefined ? '' : ` is "${value}"`}: ${problem}`)
      .join('; '),
  hint: 'docs/conduit.md has all settings of the connector.',
})

export const CONNECTOR_UNREADY = defineError('CONNECTOR_UNREADY', {
  retry: 'never',
  message: (e: { call: string; needs: string }) => `the host called ${e.call} without ${e.needs} before it`,
  hint: 'That is a fault of the host, or of ours: please report it, with the log of the connector.',
})

export const TABLE_TRUNCATED = defineError('TABLE_TRUNCATED', {
  retry: 'operator',
  message: (e: { table: string; lsn: string }) =>
    `table ${e.table} was truncated (transaction at ${e.lsn}), and Conduit has no operation for that`,
  hint: 'Empty the target by hand and set truncate to "ignore", or to "record" for a record that says so; then start the pipeline again: it goes on behind what was acknowledged.',
})

export const ACK_OUT_OF_ORDER = defineError('ACK_OUT_OF_ORDER', {
  retry: 'never',
  message: (e: { position: string; expected: string }) =>
    `the host acknowledged ${e.position}, and the next record that is not acknowledged has the position ${e.expected}`,
  hint: 'Nothing is confirmed by it. That is a fault of the host, or of ours: please report it, with the log of the connector.',
})

export const SCHEMA_SERVICE_UNREACHABLE = defineError('SCHEMA_SERVICE_UNREACHABLE', {
  retry: 'later',
  message: (e: { subject: string; target: string; problem: string }) =>
    `schema "${e.subject}" could not be registered, or had: Conduit's schema service at ${e.target} does not answer: ${e.problem}`,
  hint: 'Conduit v0.11 and later start that service and tell plugins its address (CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET); an external registry (schema-registry.type) must be up. With logrepl.withAvroSchema = false no schemas are needed.',
})

export const SCHEMA_REFUSED = defineError('SCHEMA_REFUSED', {
  retry: 'operator',
  message: (e: { subject: string; problem: string }) =>
    `Conduit's schema service refused the schema "${e.subject}": ${e.problem}`,
  hint: "Look at the subject in the registry: it may hold schemas of somebody else, with a compatibility that forbids this one (Conduit's own subjects have NONE). sdk.schema.context.name gives other subjects, logrepl.withAvroSchema = false none.",
})

export const SCHEMA_UNKNOWN = defineError('SCHEMA_UNKNOWN', {
  retry: 'operator',
  message: (e: { subject: string; version: number | string; problem: string }) =>
    `the schema "${e.subject}", version ${e.version}, that a record names cannot be had: ${e.problem}`,
  hint: "Records name the schemas of this Conduit's registry: one from elsewhere needs its schemas there (schema-registry.type). What is no Avro is taken for JSON with sdk.schema.extract.payload.enabled = false (and …key…).",
})

export const TABLE_NAME_INVALID = defineError('TABLE_NAME_INVALID', {
  retry: 'operator',
  message: (e: { name: string; problem: string }) =>
    `the setting "table" gives "${e.name}" for a record, which is no table's name: ${e.problem}`,
  hint: 'Without the setting it is the metadata opencdc.collection, which the record may lack: let "table" name a table, schema.table, or be a template that gives one for every record.',
})

export const RECORD_WITHOUT_KEY = defineError('RECORD_WITHOUT_KEY', {
  retry: 'operator',
  message: (e: { table: string; operation: string; problem: string }) =>
    `a record for table ${e.table} (${e.operation}) has no key to find its row by: ${e.problem}`,
  hint: 'Have the source send keys, give the table a primary key whose columns every record has, or name columns with a unique index in the setting "key". Rows of tables without a key can only be inserted.',
})

export const RECORD_REJECTED = defineError('RECORD_REJECTED', {
  retry: 'operator',
  message: (e: {
    table: string
    operation: string
    key: string
    problem: string
    sqlstate: string | undefined
    column: string | undefined
    constraint: string | undefined
    hint: string | undefined
  }) =>
    `table ${e.table} rejects a record (${e.operation}${e.key === '' ? '' : ` of ${e.key}`}): ${e.problem}` +
    (e.sqlstate === undefined ? '' : ` [SQLSTATE ${e.sqlstate}]`) +
    (e.constraint === undefined ? '' : `, constraint ${e.constraint}`) +
    (e.column === undefined ? '' : `, column ${e.column}`),
  hint: (e) =>
    `${e.hint === undefined ? '' : `${e.hint} `}Mend the table, or the row there, and Conduit's next attempt goes through; or have such records put aside by the pipeline: dead-letter-queue with window-size 0. The others of the batch are written.`,
})
