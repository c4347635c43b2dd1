import * as z from 'zod'
import { setting } from '../../../../core/setting.js'
import { sourceSettings } from '../../../../source/settings.js'

const text = () => z.string().min(1)
const identifier = () => z.union([z.string().min(1), z.int()])

/** Under `service`; `etcd`, `influx` and `stream_schema` are read elsewhere. */
export const serviceSettings = {
  pipelineId: setting(identifier().optional(), {
    description: 'What the pipeline is called. Its slot is tailrace_ID where there is no slot_name.',
    example: '1234',
  }),
  id: setting(identifier().optional(), { description: 'The same, where there is no pipeline_id.' }),
  reloadOnRestart: setting(z.boolean().optional(), { description: 'No effect, as in Blink.' }),
  enableEtcdRegistry: setting(z.boolean().optional(), { description: 'No effect, as in Blink.' }),
  enableInflux: setting(z.boolean().optional(), { description: 'No effect: nothing is pushed to InfluxDB.' }),
  offsetStorageUri: setting(text().optional(), {
    description: 'No effect: how far the pipeline is stands in its state file.',
    secret: true,
  }),
} as const

/** Under `source`; `driver`, `config` and `stream_schema` are read elsewhere. */
export const blinkSourceSettings = {
  lenient: setting(z.boolean().default(false), {
    description:
      'A column whose databrewType is unknown, or cannot hold what the column has, is written as text, with a notice. Else that is an error at the start.',
  }),
} as const

const connection = {
  host: setting(text(), { description: 'Host of the database.', example: 'localhost' }),
  port: setting(z.int().min(1).max(65_535).default(5432), { description: 'Its port.' }),
  database: setting(text(), { description: 'Name of the database.' }),
  user: setting(text(), { description: 'Who logs in.' }),
  password: setting(z.string().optional(), {
    description: 'Its password, with whatever characters it has. Default: as libpq finds one.',
    secret: true,
  }),
  schema: setting(text().default('public'), {
    description: 'Schema of the streams that are written without one.',
  }),
} as const

const streamSnapshot = setting(z.boolean().default(false), {
  description: 'All rows first, then every change; else changes from now on.',
})

/** What a Blink file says in other words stands there alone. */
const {
  url: _url,
  tables: _tables,
  exclude: _exclude,
  columns: _columns,
  keys: _keys,
  cdcMode: _cdcMode,
  cursors: _cursors,
  snapshot: _snapshot,
  slot: _slot,
  ...ofSource
} = sourceSettings

/** Under `source.config` of postgres_cdc. */
export const cdcSettings = {
  ...connection,
  slotName: setting(text().optional(), {
    description:
      'The replication slot, whose name is rs_ and this, as in Blink. Default: tailrace_ and the pipeline’s id.',
    example: 'shop',
  }),
  streamSnapshot,
  snapshotBatchSize: setting(z.int().min(1).optional(), {
    description:
      'The most rows of a page where rows are read in pages: beside the stream, after a lost slot or on request. The first reading is one COPY a table.',
    unit: 'rows',
  }),
  snapshotMemorySafetyFactor: setting(z.unknown().optional(), { description: 'No effect, as in Blink.' }),
  tables: setting(z.unknown().optional(), { description: 'No effect, as in Blink: tables come from stream_schema.' }),
  tablesSchema: setting(z.unknown().optional(), { description: 'No effect, as in Blink.' }),
  sslRequired: setting(z.boolean().default(false), {
    description: 'TLS, without a look at the certificate (sslmode=require); else TLS where the server has it (prefer).',
  }),
} as const

/** Under `source.config` of postgres_incremental. */
export const incrementalSettings = {
  ...connection,
  streamSnapshot,
  sslRequired: setting(z.boolean().default(false), {
    description:
      'TLS with a certificate that is checked (sslmode=verify-full); else TLS where the server has it (prefer).',
  }),
} as const

/** A source's own settings that Blink has no words for, and that can stand beside its own. */
export const besideSettings = ofSource

/** Of a column in `stream_schema`, as the file writes them. */
export const columnSettings = {
  name: setting(text(), { description: 'The column. Only those that stand here are read.' }),
  databrewType: setting(text().optional(), {
    description: 'How text sinks write its values. Default: as the server’s to_json does.',
    example: 'Int32',
  }),
  nativeConnectorType: setting(text().optional(), {
    description: 'The column’s type in the database: a warning where that is another one.',
  }),
  pk: setting(z.boolean().default(false), {
    description: 'It belongs to the key. A primary key of the table counts in its place.',
  }),
  nullable: setting(z.boolean().optional(), { description: 'No effect: the database knows.' }),
  columns: setting(z.unknown().optional(), { description: 'No effect: what a JSON column holds is not declared.' }),
} as const

/** Under `sink.config` of driver postgres, besides the settings of a postgres sink. */
export const postgresSinkSettings = {
  ...connection,
  schema: setting(text().default('public'), { description: 'Schema of the tables that are written to.' }),
  streamPrefix: setting(z.string().default(''), { description: 'What the names of these tables begin with.' }),
  sslRequired: setting(z.boolean().default(false), { description: 'As of the source.' }),
} as const

/** Under `secrets`, besides its `config`. */
export const secretsSettings = {
  storageType: setting(z.enum(['environment', 'file']), {
    description: 'Where #{secret.NAME} is looked for.',
  }),
} as const

/** Under `secrets.config`, by storage_type. */
export const secretStorages = {
  environment: {
    prefix: setting(z.string().default(''), { description: 'What the name of a secret’s variable begins with.' }),
  },
  file: {
    folder: setting(text().default('/run/secrets'), {
      description:
        'The folder that has a file for each secret, called by its name; a line break at its end does not count.',
    }),
  },
} as const
