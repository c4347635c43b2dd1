import * as z from 'zod'
import { setting } from '../core/setting.js'

const MAX_TIMER_MS = 2 ** 31 - 1

/** Every setting of the Postgres destination, declared once: types, checks and docs/settings.md come from here. */
export const destinationSettings = {
  url: setting(z.string().min(1).optional(), {
    description:
      'The database to write to, as libpq reads it: see `url` of the source. Without it the PG* variables say where.',
    example: 'postgres://app@localhost/copy',
    secret: true,
  }),
  source: setting(z.string().min(1), {
    description:
      'A name for what is written from: the checkpoint has a row under it. Two sources into one database need two names.',
    example: 'shop',
  }),
  table: setting(z.string().min(1).default('{schema}.{table}'), {
    description:
      "The target's table of a record: {schema} and {table} stand for those of the record, all else for itself. Without a dot it is in schema public; a part that holds a dot stands in double quotes.",
    example: 'copy.{schema}_{table}',
  }),
  keys: setting(z.array(z.string()).readonly().default([]), {
    description:
      "Another key for a source's table than the records', as table:column,column: rows are found at the target by it.",
    example: 'orders:order_number',
  }),
  onRejected: setting(z.enum(['stop', 'dead-letter']).default('stop'), {
    description:
      'A row that the target rejects: stop, with nothing of its batch written; or write it, in the same transaction, with the reason into the table dead_letter of checkpointSchema, and go on.',
  }),
  checkpointSchema: setting(z.string().min(1).default('tailrace'), {
    description:
      'Schema of the tables checkpoint, dead_letter, (with evolve) table_shape, (with autoCreate) pending_key and (with applyConnections) lane, made where they are missing.',
  }),
  replicationRole: setting(z.enum(['auto', 'replica', 'origin']).default('auto'), {
    description:
      "session_replication_role while writing. replica: the target's triggers do not fire and foreign keys are not checked, as in a subscription of PostgreSQL's own; auto: that where the role may set it, else origin.",
  }),
  synchronousCommit: setting(z.enum(['on', 'off', 'local', 'remote_write', 'remote_apply']).optional(), {
    description:
      "synchronous_commit while writing: what a commit waits for. off: not even for the target's own disk; a batch is then acknowledged only once a later commit has waited, five times a second, so that a crash of the target loses nothing. Default: the role's own, but local where that is off.",
    example: 'remote_apply',
  }),
  copyConnections: setting(z.int().min(1).max(64).default(2), {
    description:
      "How many batches of a first copy are copied at a time, each over a connection of its own beside that which writes everything else. They are committed in the source's order, as with 1. Not for rows without a key.",
  }),
  applyConnections: setting(z.int().min(1).max(64).default(1), {
    description:
      'Over how many connections the changes of a batch are applied at a time, parted by key. With more than 1 a reader of the target may for a moment see a part of a transaction of the source. Only worth it where the target has cores to spare.',
    example: '4',
  }),
  autoCreate: setting(z.boolean().default(false), {
    description:
      "Make a table that is missing at the target, with its schema: the source's columns with their types and NOT NULL, its key as primary key (built when its rows are copied), and the enums, domains, composites and ranges that these types are.",
  }),
  mode: setting(z.enum(['mirror', 'history']).default('mirror'), {
    description:
      "mirror: the target's tables are as the source's. history: every change is appended as a row of its own, with columns that say what it was; nothing is overwritten or deleted.",
  }),
  delete: setting(z.enum(['hard', 'soft']).default('hard'), {
    description:
      'What becomes of a row that the source deletes: hard, it is deleted; soft, it stays, and deletedColumn says since when it is gone. Truncated rows, too.',
  }),
  deletedColumn: setting(z.string().min(1).default('_deleted_at'), {
    description:
      'With delete: soft, the column of type timestamptz that is NULL while the source has the row. Of the target alone.',
  }),
  historyPrefix: setting(z.string().default('_'), {
    description:
      'With mode: history, what the names of the added columns begin with: id, operation, committed_at, old_key and unchanged.',
  }),
  evolve: setting(z.boolean().default(false), {
    description:
      'Alter the tables at the target as the source alters its own, in the transaction with the first row of the new shape: columns that are added or renamed, types that become wider, labels of enums, NOT NULL that is dropped. What cannot be followed is an error that has the SQL.',
  }),
  columnsDropped: setting(z.enum(['keep', 'drop']).default('keep'), {
    description:
      'With evolve, a column that the source drops: keep it at the target, where it takes NULL from then on; or drop it there, too.',
  }),
  sequences: setting(z.enum(['leave', 'move']).default('leave'), {
    description:
      "Sequences that columns of the written tables own (serial, identity): move sets each to its column's last value at the end of a run and once a minute meanwhile, so that the target can take over.",
  }),
  retryMs: setting(z.int().min(0).max(MAX_TIMER_MS).default(60_000), {
    description:
      'How long a batch is tried again after a lost connection, a deadlock, a serialization failure, or while the server starts or is read-only.',
    unit: 'ms',
  }),
} as const
