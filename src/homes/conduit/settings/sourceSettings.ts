import * as z from 'zod'
import { setting } from '../../../core/setting.js'
import { sourceSettings as engine } from '../../../source/settings.js'
import { sdkSourceSettings } from './sdkSettings.js'

const SLOT_NAME = /^[a-z0-9_]{1,63}$/

/**
 * Every setting of the Conduit source, by the name that pipelines write. Those that the Go connector has are called as it
 * calls them and have its defaults; the others are the engine's own, whose times are durations here.
 */
export const conduitSourceSettings = {
  url: setting(z.string().min(1), {
    description:
      'The database, as libpq reads it: postgres://user:password@host:5432/database?sslmode=…, or "host=db dbname=shop".',
    example: 'postgres://app@localhost/shop',
    secret: true,
  }),
  tables: setting(z.string().min(1), {
    description:
      'Which tables, with commas: names, schema.name, and * in them. * is every table of schema public, *.* of every schema. Parts are quoted as in SQL where they hold dots, commas or quotes.',
    example: 'orders,sales.inv_*',
  }),
  snapshotMode: setting(z.enum(['initial', 'never']).default('initial'), {
    description: 'initial: all rows first, then every change; never: changes only.',
  }),
  'snapshot.fetchSize': setting(z.int().min(1).default(50_000), {
    description: 'Has no effect: rows are read with COPY, not in fetches. sdk.batch.size says how many go together.',
  }),
  cdcMode: setting(z.enum(['auto', 'logrepl', 'long_polling']).default('auto'), {
    description:
      'How changes are found. logrepl: by logical replication, each of them. long_polling: by reading the tables again and again, for servers without it: no deletes, and of several changes between two polls the last. auto: logrepl where it can be had, else long_polling.',
  }),
  'logrepl.publicationName': setting(z.string().min(1).default('conduitpub'), {
    description: 'Publication of the tables, made if missing.',
  }),
  'logrepl.slotName': setting(z.string().regex(SLOT_NAME).default('conduitslot'), {
    description: 'Replication slot that holds the place, made if missing. Each connector needs one of its own.',
  }),
  'logrepl.autoCleanup': setting(z.boolean().default(true), {
    description: 'When the connector is deleted, drop slot and publication, if this connector made the publication.',
  }),
  'logrepl.withAvroSchema': setting(z.boolean().default(true), {
    description:
      "Keys and rows are Avro, whose schemas are in Conduit's schema registry. false: without schemas, as payload.format says, but for what sdk.schema.extract.….enabled is true of. See docs/conduit-avro.md.",
  }),
  'avro.schemas': setting(z.enum(['nullable', 'connector']).default('nullable'), {
    description:
      "nullable: every column may be null, but for those of a key. connector: the schemas of Conduit's own connector, letter by letter for the types that it knows: no column may be null there, and a row where one is has another schema.",
  }),
  'avro.timestamps': setting(z.enum(['local', 'text']).default('local'), {
    description:
      "timestamp (without time zone): local, as local-timestamp-micros, which Conduit's processors read in the zone of its host; or text, as in JSON.",
  }),
  'avro.json': setting(z.enum(['bytes', 'string']).default('bytes'), {
    description:
      "json and jsonb: as bytes, which Conduit's own connector has and JSON shows in base64, or as a string.",
  }),
  'payload.format': setting(z.enum(['structured', 'json']).default('structured'), {
    description:
      'Of what has no schema (logrepl.withAvroSchema). structured: key, before and after as fields, which processors can use; numbers are doubles there, so numeric, and bigint beyond 2^53, are texts. json: each as raw data, the JSON that the server itself would make of the row, with all digits.',
  }),
  truncate: setting(z.enum(['error', 'ignore', 'record']).default('error'), {
    description:
      'When a table is truncated, for which Conduit has no operation: error: stop. ignore: go on, with a warning. record: a delete without key and payload, with postgres.operation = truncate in its metadata.',
  }),
  keyChange: setting(z.enum(['update', 'delete-create']).default('update'), {
    description:
      'An UPDATE that changes the key. update: one record with the new key, and the old one in before. delete-create: a delete with the old key, then a create with the new one; where the server did not send all of the row (see toast) it stays an update.',
  }),
  exclude: engine.exclude,
  columns: setting(z.string().default(''), {
    description:
      'Only these columns of a table, as table:column,column; several tables one behind the other. Key columns are always in the key.',
    example: 'orders:id,total,sales.items:sku',
  }),
  keys: setting(z.string().default(''), {
    description: 'Another key for a table than its own, as table:column,column; several tables one behind the other.',
    example: 'orders:order_number',
  }),
  cursors: setting(z.string().default(''), {
    description:
      'For long polling: a column of a table that grows with every change, as table:column. Then only its high end is read at each poll, else the whole table.',
    example: 'orders:updated_at',
  }),
  pollInterval: engine.pollIntervalMs,
  replicationUrl: engine.replicationUrl,
  strategy: engine.strategy,
  failoverSlot: engine.failoverSlot,
  onSlotLost: engine.onSlotLost,
  managePublication: engine.managePublication,
  keyless: engine.keyless,
  toast: engine.toast,
  onRedeliveryChange: engine.onRedeliveryChange,
  onPublicationChange: engine.onPublicationChange,
  onPartitionGone: engine.onPartitionGone,
  maxBytes: engine.maxBytes,
  streaming: engine.streaming,
  logicalDecodingWorkMem: engine.logicalDecodingWorkMem,
  spoolFolder: engine.spoolFolder,
  spoolMemoryBytes: engine.spoolMemoryBytes,
  spoolMaxBytes: engine.spoolMaxBytes,
  snapshotWorkers: engine.snapshotWorkers,
  slotTimeout: engine.slotTimeoutMs,
  walBudgetBytes: engine.walBudgetBytes,
  onWalBudget: engine.onWalBudget,
  heartbeat: engine.heartbeat,
  heartbeatInterval: engine.heartbeatMs,
  stallTimeout: engine.stallMs,
  bytea: engine.bytea,
  ...sdkSourceSettings,
} as const

export type ConduitSourceSettings = z.output<z.ZodObject<typeof conduitSourceSettings>>
