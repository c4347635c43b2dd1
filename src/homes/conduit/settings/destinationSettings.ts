import * as z from 'zod'
import { setting } from '../../../core/setting.js'
import { destinationSettings as engine } from '../../../destination/settings.js'
import { sdkDestinationSettings } from './sdkSettings.js'

/** By which Conduit's own connector finds the table. */
const COLLECTION = '{{ index .Metadata "opencdc.collection" }}'

/** Every setting of the Conduit destination, by the name that pipelines write; see {@link conduitSourceSettings}. */
export const conduitDestinationSettings = {
  url: setting(z.string().min(1), {
    description:
      'The database to write to, as libpq reads it: postgres://user:password@host:5432/database?sslmode=…, or "host=db dbname=copy".',
    example: 'postgres://app@localhost/copy',
    secret: true,
  }),
  table: setting(z.string().min(1).default(COLLECTION), {
    description:
      'The table of a record: a name, schema.name, or a Go template that gives one. Without a dot it is in schema public; a part that holds a dot stands in double quotes. Names are taken as they are written, capitals and all.',
    example: '{{ index .Metadata "postgres.schema" }}.{{ index .Metadata "opencdc.collection" }}',
  }),
  key: setting(z.string().default(''), {
    description:
      "Columns by which rows are found, with commas; or table:column,column, several tables one behind the other. They need a unique index. Without it: the fields of the record's key; of a record without one, or whose key is no object, the primary key of the table.",
    example: 'id',
  }),
  delete: setting(z.enum(['hard', 'soft']).default('hard'), {
    description:
      'What becomes of a row whose delete comes: hard, it is deleted; soft, it stays, and deletedColumn says since when it is gone. Truncated rows, too.',
  }),
  deletedColumn: engine.deletedColumn,
  replicationRole: engine.replicationRole,
  synchronousCommit: setting(z.enum(['on', 'local', 'remote_write', 'remote_apply']).optional(), {
    description:
      "synchronous_commit while writing: what a commit waits for, before its records are acknowledged. Default: the role's own, but local where that is off.",
    example: 'remote_apply',
  }),
  retryTimeout: setting(z.int().min(0).max(2_147_483_647).default(60_000), {
    description:
      'How long a transaction is tried again after a lost connection, a deadlock, a serialization failure, or while the server starts or is read-only. Then the run ends with the error, and Conduit starts it again.',
    unit: 'ms',
  }),
  ...sdkDestinationSettings,
} as const
