import * as z from 'zod'
import { setting } from '../core/setting.js'

const names = z.union([z.string().min(1), z.array(z.string().min(1)).readonly()])
const selections = z.union([z.array(z.string()).readonly(), z.record(z.string(), z.array(z.string()).readonly())])
const MIB = 1024 * 1024
/** Node's timers take no more. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Every setting of a source, declared once: types, checks, `--help` and docs/settings.md come from here. */
export const sourceSettings = {
  url: setting(z.string().min(1).optional(), {
    description:
      'The database, as libpq reads it: postgres://user:password@host:5432/database?sslmode=…, or "host=db dbname=shop", or "service=shop". What it leaves out comes from PGHOST, PGDATABASE, PGPASSWORD and so on, without it everything. See docs/connections.md.',
    example: 'postgres://app@localhost/shop',
    secret: true,
  }),
  replicationUrl: setting(z.string().min(1).optional(), {
    description:
      'Another connection string to the same server for the replication sessions, where `url` leads through a pooler.',
    secret: true,
  }),
  tables: setting(names, {
    description:
      'Which tables: names, schema.name, and * in them. * is every table of schema public, *.* of every schema. Parts are quoted as in SQL where they hold dots, commas or quotes; an unquoted part matches exactly, else in lower case.',
    example: 'orders,sales.inv_*',
  }),
  exclude: setting(names.optional(), {
    description: 'Tables to leave out of these, written the same way.',
    example: 'sales.inv_old',
  }),
  columns: setting(selections.default([]), {
    description: 'Only these columns of a table, as table:column,column. Key columns are always in `key`.',
    example: 'orders:id,total',
  }),
  keys: setting(selections.default([]), {
    description: 'Another key for a table than its own, as table:column,column.',
    example: 'orders:order_number',
  }),
  cdcMode: setting(z.enum(['logical', 'long_polling', 'auto']).default('logical'), {
    description:
      'How changes are found. logical: by logical replication, each of them. long_polling: by reading the tables again and again, for servers without it: no deletes, and of several changes between two polls the last; see docs/long-polling.md. auto: logical where it can be had, else long_polling, and it says why.',
  }),
  cursors: setting(z.union([z.array(z.string()).readonly(), z.record(z.string(), z.string())]).default([]), {
    description:
      'For long polling: a column of a table that grows with every change, as table:column. Then only its high end is read at each poll, else the whole table.',
    example: 'orders:updated_at',
  }),
  pollIntervalMs: setting(z.int().min(1).max(86_400_000).default(5000), {
    description: 'For long polling: time between the end of one poll and the next.',
    unit: 'ms',
  }),
  snapshot: setting(z.enum(['initial', 'never', 'only']).default('initial'), {
    description:
      'initial: all rows first, then every change; never: changes from now on; only: all rows, then the end (nothing is made on the server).',
  }),
  strategy: setting(z.enum(['auto', 'consistent', 'incremental']).default('auto'), {
    description:
      'How the rows are read. consistent: all in one snapshot, then the changes; incremental: in chunks while changes go on, with nothing held for long. auto: consistent where the slot is new, else incremental.',
  }),
  slot: setting(z.string().min(1).optional(), {
    description:
      'Replication slot to hold the place between runs, created if missing. Without one a temporary slot is used.',
    example: 'tailrace_shop',
  }),
  existingSlot: setting(z.enum(['refuse', 'resume', 'snapshot']).default('refuse'), {
    description:
      'When the slot exists and no position is given: refuse, since a snapshot could not be joined to it; resume where it stands, without a snapshot; or snapshot: take it over, and read all rows incrementally.',
  }),
  failoverSlot: setting(z.boolean().default(false), {
    description:
      'Have standbys with sync_replication_slots keep a copy of a slot that is made (PostgreSQL 17 and later), so that a run goes on after one of them is promoted. The primary should name them in synchronized_standby_slots.',
  }),
  onSlotLost: setting(z.enum(['stop', 'resnapshot']).default('stop'), {
    description:
      'When the slot of the position is gone or was invalidated: stop; or make it anew and read all rows once more, incrementally, as a repair: batches tell of which keys they have all rows.',
  }),
  publication: setting(z.string().min(1).optional(), {
    description:
      'Publication of the tables, created if missing. Default: tailrace with a slot, else one of a random name that is dropped at the end.',
    example: 'tailrace',
  }),
  managePublication: setting(z.boolean().default(false), {
    description: 'Let tailrace alter a publication that was there before, when it lacks tables or operations.',
  }),
  keyless: setting(z.enum(['refuse', 'inserts', 'skip']).default('refuse'), {
    description:
      'A table without replica identity: refuse it, capture only its inserts and truncates, or leave it out, with a warning. (In an ordinary publication its UPDATE and DELETE would fail for the application.)',
  }),
  toast: setting(z.enum(['omit', 'fetch']).default('omit'), {
    description:
      'Large (TOASTed) values that an UPDATE left as they were, and that the server does not send: omit, and name them in `unchanged`; or fetch them from the table, by key. What is fetched is the value that the row has by then: see docs/records.md.',
  }),
  messages: setting(z.union([z.boolean(), z.string()]).default(false), {
    description: 'Logical messages (pg_logical_emit_message): none, all, or those whose prefix begins so.',
    example: 'outbox',
  }),
  until: setting(z.string().min(1).optional(), {
    description: '`current`: end when everything committed before the start was delivered; or an LSN to reach.',
    example: 'current',
  }),
  onRedeliveryChange: setting(z.enum(['stop', 'repeat']).default('stop'), {
    description:
      'When the server resends a transaction with other rows than before, since the publication was changed meanwhile: stop, or deliver it whole once more.',
  }),
  onPublicationChange: setting(z.enum(['stop', 'continue']).default('stop'), {
    description:
      'When somebody drops, makes anew or alters the publication, so that changes may be missing: stop, or warn and go on.',
  }),
  onPartitionGone: setting(z.enum(['warn', 'resnapshot']).default('warn'), {
    description:
      'When a partition of a captured table is detached, dropped or truncated, for which the server sends no deletes: warn; or also read the whole table once more, as a repair: batches tell of which keys they have all rows.',
  }),
  maxBytes: setting(
    z
      .int()
      .min(64 * 1024)
      .default(4 * MIB),
    {
      description: 'Bytes received that may wait for a slow consumer before reading from the server pauses.',
      unit: 'bytes',
    },
  ),
  streaming: setting(z.enum(['on', 'off']).default('on'), {
    description:
      "Have the server send large transactions while they run, and spool them here until they commit: faster, and nothing waits on the server's disk. Not done with a temporary slot. off: the server sends them when they have committed.",
  }),
  logicalDecodingWorkMem: setting(
    z
      .string()
      .regex(/^[0-9]+ *(kB|MB|GB)?$/, 'a size such as 4MB is wanted')
      .optional(),
    {
      description:
        "Memory that the server may use to put transactions together before it streams them, or spills them to its disk: logical_decoding_work_mem of our session. Default: 4MB with streaming, else the server's own.",
      example: '64MB',
    },
  ),
  spoolFolder: setting(z.string().min(1).optional(), {
    description:
      "Folder for what is spooled of large transactions beyond memory. Default: the system's for temporary files.",
    example: '/var/tmp',
  }),
  spoolMemoryBytes: setting(
    z
      .int()
      .min(0)
      .default(16 * MIB),
    {
      description: 'Bytes of large transactions that are kept in memory; what comes beyond goes to files.',
      unit: 'bytes',
    },
  ),
  spoolMaxBytes: setting(z.int().min(MIB).optional(), {
    description:
      'Bytes of spool files at most, all compressed then; when that is reached large transactions are read when they have committed. Default: as many as the disk has; files are compressed from 256 MiB on.',
    unit: 'bytes',
  }),
  snapshotWorkers: setting(z.int().min(1).max(64).default(2), {
    description: 'Connections that read the snapshot in parallel.',
  }),
  snapshotChunkRows: setting(z.int().min(1).optional(), {
    description:
      'The most rows of a chunk where rows are read incrementally. Default: as many as are read in a few hundredths of a second.',
    unit: 'rows',
    example: '5000',
  }),
  slotTimeoutMs: setting(z.int().min(0).default(0), {
    description: 'How long creating a slot may wait for running transactions; 0 waits as long as they run.',
    unit: 'ms',
  }),
  walBudgetBytes: setting(z.int().min(MIB).optional(), {
    description:
      "How much WAL the server may keep for the slot, by your word; the server's own limit is max_slot_wal_keep_size. Near either the run says how long it will last. See docs/wal.md.",
    unit: 'bytes',
    example: '10737418240',
  }),
  onWalBudget: setting(z.enum(['warn', 'pause-snapshot', 'stop']).default('warn'), {
    description:
      'When the slot holds as much WAL as it may: say so; have a snapshot that runs beside the stream rest until the stream has caught up; or end with an error (at walBudgetBytes only), to be resumed.',
  }),
  heartbeat: setting(z.enum(['auto', 'always', 'never']).default('auto'), {
    description:
      'Logical messages (pg_logical_emit_message) that have the server free WAL: only when it keeps some for the slot without need, at every heartbeatMs, or not at all.',
  }),
  heartbeatMs: setting(z.int().min(1000).max(MAX_TIMER_MS).default(30_000), {
    description: 'How long the slot and the server must have stood still before a heartbeat, and the time between two.',
    unit: 'ms',
  }),
  stallMs: setting(z.int().min(0).max(MAX_TIMER_MS).default(60_000), {
    description:
      'When there is something to do and nothing went on for so long, the run says whose turn it is: server, network or consumer; 0 never.',
    unit: 'ms',
  }),
  bigNumbers: setting(z.enum(['number', 'string']).default('number'), {
    description: 'int8 and numeric in JSON: as number tokens with all their digits, or as strings.',
  }),
  bytea: setting(z.enum(['hex', 'base64']).default('hex'), {
    description: 'bytea in JSON: as the server prints it (\\xdeadbeef), or in base64.',
  }),
  timestamps: setting(z.enum(['string', 'date']).default('string'), {
    description: 'timestamp and timestamptz as JavaScript values: ISO text with six decimals, or Date with three.',
  }),
} as const
