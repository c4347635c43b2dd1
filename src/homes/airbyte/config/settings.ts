import * as z from 'zod'
import { setting, snakeCase } from '../../../core/setting.js'
import { sourceSettings } from '../../../source/settings.js'

const text = z.string().min(1)
const one = (mode: string) => z.looseObject({ mode: z.literal(mode) }).meta({ title: mode })
const verified = (mode: string) =>
  z
    .looseObject({
      mode: z.literal(mode),
      ca_certificate: setting(text.optional(), { description: 'PEM of the authority.', secret: true }),
      client_certificate: setting(text.optional(), { description: 'PEM of our certificate.', secret: true }),
      client_key: setting(text.optional(), { description: 'PEM of its key.', secret: true }),
      client_key_password: setting(text.optional(), { description: "The key's password.", secret: true }),
    })
    .meta({ title: mode })

/** Settings of a `PostgresSource` that are the same here, under a name with underscores. */
const SHARED = [
  'exclude',
  'replicationUrl',
  'keyless',
  'managePublication',
  'failoverSlot',
  'onPublicationChange',
  'onPartitionGone',
  'bigNumbers',
  'snapshotWorkers',
  'slotTimeoutMs',
  'maxBytes',
  'streaming',
  'logicalDecodingWorkMem',
  'spoolFolder',
  'spoolMemoryBytes',
  'walBudgetBytes',
  'onWalBudget',
  'heartbeat',
  'heartbeatMs',
  'stallMs',
] as const satisfies readonly (keyof typeof sourceSettings)[]

type Shared = (typeof SHARED)[number]

/** What a stream of the catalog stands for cannot be left out. */
const engine = {
  ...sourceSettings,
  keyless: setting(z.enum(['refuse', 'inserts']).default('refuse'), {
    description:
      'A table without replica identity: refuse it, or capture only its inserts and truncates. (In an ordinary publication its UPDATE and DELETE would fail for the application.)',
  }),
}

/** Of the connector itself. */
const own = {
  connectionURI: setting(text.optional(), {
    description:
      'The database: postgres://user:password@host:5432/database?sslmode=…, or "host=db dbname=shop". Instead of it: host, port, database, username and password.',
    example: 'postgres://flow:flow@localhost:5432/flow',
    secret: true,
  }),
  host: setting(text.optional(), { description: 'Host of the database.', example: 'db.example.com' }),
  port: setting(z.int().min(0).max(65_536).default(5432), { description: 'Port of the database.' }),
  database: setting(text.optional(), { description: 'Name of the database.', example: 'shop' }),
  username: setting(text.optional(), { description: 'The role to log in as.', example: 'app' }),
  password: setting(z.string().optional(), { description: 'Its password.', secret: true }),
  jdbc_url_params: setting(z.string().optional(), {
    description: 'More connection parameters as key=value&key=value, of those that docs/connections.md has.',
    example: 'connect_timeout=30',
  }),
  ssl_mode: setting(
    z
      .discriminatedUnion('mode', [
        one('disable'),
        one('allow'),
        one('prefer'),
        one('require'),
        verified('verify-ca'),
        verified('verify-full'),
      ])
      .optional(),
    { description: 'Whether and how TLS is used. Default: what the connection says, else prefer.' },
  ),
  schemas: setting(z.array(text).optional(), {
    description: 'Only the tables of these schemas. Default: all.',
    example: 'public',
  }),
  tables: setting(text.optional(), {
    description: 'Only these tables: names, schema.name, and * in them, with commas between.',
    example: 'orders,sales.inv_*',
  }),
  slot_name: setting(text.default('flow_slot'), {
    description: 'Replication slot, made if it is missing. It belongs to this connection alone.',
  }),
  publication_name: setting(text.default('flow_publication'), {
    description: 'Publication of the tables, made if it is missing.',
  }),
  record_format: setting(z.enum(['airbyte', 'estuary', 'debezium']).default('airbyte'), {
    description:
      'What a record has beside the columns. airbyte: _ab_cdc_lsn, _ab_cdc_updated_at, _ab_cdc_deleted_at; estuary: _change_type, _change_lsn, _ingested_at; debezium: _meta.',
  }),
  state_type: setting(z.enum(['global', 'stream', 'legacy']).default('global'), {
    description:
      'Which STATE messages are written; every type is read. global: one for all streams, as the Airbyte platform expects of change data capture; stream: one a stream, as PyAirbyte needs; legacy: one text of data.',
  }),
  tail: setting(z.boolean().default(false), {
    description: 'Run on when all is read, until the process is ended. Also as "tail" of the catalog.',
  }),
  checkpoint_seconds: setting(z.number().min(0.1).max(3600).default(2), {
    description: 'How often a STATE is written while records come, at the next commit; and every 10,000 records.',
    unit: 's',
  }),
  max_lifespan_seconds: setting(z.number().min(0).default(0), {
    description: 'End after so long, with a STATE; 0: when all is read.',
    unit: 's',
  }),
  poll_timeout_seconds: setting(z.number().min(0).optional(), {
    description: 'Not used: a run ends at the WAL position that was current when it began, without waiting.',
    unit: 's',
  }),
  compact: setting(z.boolean().default(false), {
    description:
      'Of each key the last record of a run: changes are held, as many as compact_bytes has room for, and folded. For clients that take every record of one sync for a row, such as PyAirbyte.',
  }),
  compact_bytes: setting(
    z
      .int()
      .min(1)
      .default(64 * 1024 * 1024),
    {
      description:
        'Bytes of records that may be held for compact. When there are more, those go first whose keys were touched first, and come again when they change.',
      unit: 'bytes',
    },
  ),
  line_threads: setting(z.int().min(1).max(2).optional(), {
    description:
      'Threads that make the records of large tables and large transactions. Default: 2 where there is a processor for each; for the rows of tables one more is counted for a server on the same machine, which reads at the same time.',
  }),
  on_lost_position: setting(z.enum(['fail', 'resync']).default('fail'), {
    description:
      'When the slot is gone, lost, or ahead of the saved position, or that is beyond all that the server has written (it was put back to an earlier state), so that changes would be missing: end with an error, or read all rows anew.',
  }),
  toast: setting(z.enum(['omit', 'fetch']).default('fetch'), {
    description:
      'Large values that an UPDATE left as they were, and that the server does not send: fetch them from the table by key, or leave them out of the record.',
  }),
  bytea: setting(z.enum(['base64', 'hex']).default('base64'), {
    description: 'bytea in records: in base64, or as the server prints it (\\xdeadbeef).',
  }),
} as const

type Own = typeof own
type SharedSettings = { [Name in Shared]: (typeof engine)[Name] }

/** The shared ones under their own names. */
export const sharedSettings = Object.fromEntries(SHARED.map((name) => [name, engine[name]])) as SharedSettings

/** Every setting of the connector, declared once: `spec`, checks and docs/airbyte.md come from here. */
export const airbyteSettings: Own & Readonly<Record<string, z.ZodType>> = {
  ...own,
  ...Object.fromEntries(SHARED.map((name) => [snakeCase(name), engine[name]])),
}

export type OwnSettings = z.output<z.ZodObject<Own>>

/** Other names of a setting, those of Estuary's and Airbyte's connectors; a dot leads into an object. */
export const ALIASES: Readonly<Record<string, readonly string[]>> = {
  username: ['user'],
  password: ['credentials.password'],
  slot_name: ['replication_method.replication_slot', 'advanced.slotName'],
  publication_name: ['replication_method.publication', 'advanced.publicationName'],
  'ssl_mode.mode': ['advanced.sslmode'],
}
