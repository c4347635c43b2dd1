import { describeBytes } from './quantity.js'
import { defineError } from './tailraceError.js'

/** How to begin anew, of a run on the command line or of a library. */
export const BEGIN_ANEW =
  'That is: drop the slot (tailrace slots drop NAME), remove the state file or stored position, empty what was written, start again.'

/** What reads all rows once more instead. */
export const REPAIR =
  'With onSlotLost: "resnapshot" (--on-slot-lost resnapshot) the slot is made anew and all rows are read once more, as a repair.'

/** Wrong use of the command line. */
const usage = () => ({
  retry: 'operator' as const,
  message: (e: { problem: string; near: string | undefined }) => e.problem,
  hint: (e: { near: string | undefined }) =>
    e.near === undefined ? 'Add --help to the command to see what it takes.' : `Did you mean ${e.near}?`,
})

// ── Settings ────────────────────────────────────────────────────────────────────────────────────────────────────────

export const SETTING_UNKNOWN = defineError('SETTING_UNKNOWN', {
  retry: 'operator',
  message: (e: { name: string; near: string | undefined; known: readonly string[] }) => `unknown setting "${e.name}"`,
  hint: (e) => (e.near === undefined ? `Known are: ${e.known.join(', ')}.` : `Did you mean "${e.near}"?`),
})

export const COMMAND_UNKNOWN = defineError('COMMAND_UNKNOWN', usage())
export const OPTION_UNKNOWN = defineError('OPTION_UNKNOWN', usage())
export const OPTION_MISSING = defineError('OPTION_MISSING', usage())
export const OPTION_INVALID = defineError('OPTION_INVALID', usage())

export const SETTING_INVALID = defineError('SETTING_INVALID', {
  retry: 'operator',
  message: (e: { name: string; value: unknown; problem: string }) =>
    `setting "${e.name}"${e.value === undefined ? '' : ` is ${JSON.stringify(e.value)}`}: ${e.problem}`,
  hint: 'docs/settings.md says what each setting takes.',
})

// ── Connections ─────────────────────────────────────────────────────────────────────────────────────────────────────

export const CONNECTION_STRING_INVALID = defineError('CONNECTION_STRING_INVALID', {
  retry: 'operator',
  message: (e: { problem: string }) => `cannot read the connection string: ${e.problem}`,
  hint: "Write it as postgres://user:password@host:5432/database?sslmode=require, with special characters as %XX, or as host=db dbname=shop password='…'. docs/connections.md has every parameter.",
})

export const CONNECTION_MISSING = defineError('CONNECTION_MISSING', {
  retry: 'operator',
  message: (_: object) => 'nothing says which database to connect to',
  hint: 'Give --url (as a library: url), such as postgres://user@host/database, or set PGHOST, PGDATABASE, PGUSER or PGSERVICE.',
})

export const CONNECTION_FAILED = defineError('CONNECTION_FAILED', {
  retry: 'later',
  message: (e: { to: string; problem: string }) => `cannot connect to ${e.to}: ${e.problem}`,
  hint: (e) =>
    /certificate|TLS|altname|self.signed/i.test(String(e.problem))
      ? "sslmode, sslrootcert and the host's name in the connection string say which server is trusted: see TLS in docs/connections.md."
      : 'Check host, port and that the server accepts connections from here (listen_addresses, pg_hba.conf, firewall).',
})

export const LOGIN_REFUSED = defineError('LOGIN_REFUSED', {
  retry: 'operator',
  message: (e: { to: string; problem: string }) => `the server refuses the login to ${e.to}: ${e.problem}`,
  hint: 'Check user, password and database in the URL, and that pg_hba.conf has a line for this client (for the replication session too: it matches by database name).',
})

export const REPLICATION_DENIED = defineError('REPLICATION_DENIED', {
  retry: 'operator',
  message: (e: { user: string; problem: string; sqlstate: string }) =>
    `role ${e.user} may not open a replication session: ${e.problem} [SQLSTATE ${e.sqlstate}]`,
  hint: (e) =>
    `As a superuser: ALTER ROLE ${e.user} REPLICATION; (on Amazon RDS: GRANT rds_replication TO ${e.user};). It is not inherited from other roles. tailrace doctor has the command of each platform; \`--snapshot only\` and long polling do without.`,
})

export const LOGIN_METHOD_REFUSED = defineError('LOGIN_METHOD_REFUSED', {
  retry: 'operator',
  message: (e: { to: string; problem: string }) => `the login to ${e.to} was given up: ${e.problem}`,
  hint: 'pg_hba.conf on the server says which login it asks for; channel_binding and require_auth in the connection string say which are accepted.',
})

export const PASSWORD_MISSING = defineError('PASSWORD_MISSING', {
  retry: 'operator',
  message: (e: { to: string; note: string | undefined }) =>
    `the server asks for a password to ${e.to}, and none was given${e.note === undefined ? '' : `: ${e.note}`}`,
  hint: 'Set PGPASSWORD, or write a line host:port:database:user:password into ~/.pgpass (mode 0600), or put it into the connection string.',
})

export const CONNECTIONS_EXHAUSTED = defineError('CONNECTIONS_EXHAUSTED', {
  retry: 'later',
  message: (e: { to: string; problem: string }) => `the server has no connection left for ${e.to}: ${e.problem}`,
  hint: 'Raise max_connections, for replication sessions max_wal_senders, or the CONNECTION LIMIT of role or database; or close what is not needed. A run takes three connections, and one more for each of snapshotWorkers.',
})

export const CONNECTION_LOST = defineError('CONNECTION_LOST', {
  retry: 'later',
  message: (e: { to: string; problem: string }) => `lost the connection to ${e.to}: ${e.problem}`,
  hint: 'The run goes on from the last confirmed position when it is started again.',
})

export const SERVER_UNAVAILABLE = defineError('SERVER_UNAVAILABLE', {
  retry: 'later',
  message: (e: { message: string; sqlstate: string; detail?: string }) =>
    `the server says: ${e.message}${e.detail === undefined ? '' : ` (${e.detail})`} [SQLSTATE ${e.sqlstate}]`,
  hint: 'It starts, stops, recovers, or has ended the session. Try again in a moment: a run goes on from its last position.',
})

export const SERVER_ERROR = defineError('SERVER_ERROR', {
  retry: 'operator',
  message: (e: { message: string; sqlstate: string; detail?: string; hint?: string; severity?: string }) =>
    `the server says: ${e.message}${e.detail === undefined ? '' : ` (${e.detail})`} [SQLSTATE ${e.sqlstate}]`,
  hint: (e: { hint?: string }) => e.hint ?? 'See "PostgreSQL Error Codes" in the PostgreSQL docs for the SQLSTATE.',
})

export const FRAME_INVALID = defineError('FRAME_INVALID', {
  retry: 'later',
  message: (e: { tag: number; length: number }) =>
    `the server sent a message 0x${e.tag.toString(16)} of an impossible length ${e.length}`,
  hint: 'What answers on this port may not be PostgreSQL, or a proxy between damages the stream. Connect directly.',
})

// ── The stream ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const MALFORMED_MESSAGE = defineError('MALFORMED_MESSAGE', {
  retry: 'never',
  message: (e: { message: string; problem: string; offset: number; length: number; lsn?: string }) =>
    `cannot decode the server's ${e.message} message: ${e.problem} at byte ${e.offset} of ${e.length}` +
    (e.lsn === undefined ? '' : ` (LSN ${e.lsn})`),
  hint: 'Nothing was confirmed past this message. Please report it with the server version; a newer tailrace may know it.',
})

export const POSITION_INVALID = defineError('POSITION_INVALID', {
  retry: 'operator',
  message: (e: { problem: string }) => `the position to resume from cannot be read: ${e.problem}`,
  hint: 'Hand back exactly what a position printed (JSON). If it was damaged, take a new snapshot into an empty target.',
})

export const KEY_TABLE_UNKNOWN = defineError('KEY_TABLE_UNKNOWN', {
  retry: 'operator',
  message: (e: { selection: string; tables: readonly string[] }) =>
    `"${e.selection}" names a table that is not captured`,
  hint: (e) => `Captured are: ${e.tables.slice(0, 20).join(', ')}${e.tables.length > 20 ? ', …' : ''}.`,
})

export const POSITION_OTHER_SERVER = defineError('POSITION_OTHER_SERVER', {
  retry: 'operator',
  message: (e: { expected: string; found: string }) =>
    `the position belongs to another server: its system identifier is ${e.expected}, this one's ${e.found}`,
  hint: 'LSNs of two servers must not be compared. Connect to the server it came from, or begin anew without the position.',
})

export const POSITION_OTHER_DATABASE = defineError('POSITION_OTHER_DATABASE', {
  retry: 'operator',
  message: (e: { expected: string; found: string }) =>
    `the position belongs to database "${e.expected}", not to "${e.found}"`,
  hint: 'Connect to that database, or use another state for this one.',
})

export const POSITION_OTHER_SLOT = defineError('POSITION_OTHER_SLOT', {
  retry: 'operator',
  message: (e: { expected: string; found: string }) =>
    `the position belongs to slot "${e.expected}", not to "${e.found}"`,
  hint: 'Give --slot (slot) as the position has it, or leave it out: the position names it.',
})

export const POSITION_NOT_RESUMABLE = defineError('POSITION_NOT_RESUMABLE', {
  retry: 'operator',
  message: (_: object) => 'the position comes from a run with a temporary slot, which is gone',
  hint: 'Set a slot name for runs that are to be resumed; begin this one anew, without the position.',
})

export const TIMELINE_BEHIND = defineError('TIMELINE_BEHIND', {
  retry: 'operator',
  message: (e: { expected: number; found: number }) =>
    `the server is on timeline ${e.found}, the position on ${e.expected}: this server missed a promotion`,
  hint: 'Connect to the present primary.',
})

export const POSITION_DIVERGED = defineError('POSITION_DIVERGED', {
  retry: 'operator',
  message: (e: { position: string; expected: number; found: number; left: string | undefined }) =>
    e.left === undefined
      ? `the position is of timeline ${e.expected}, from which the server's timeline ${e.found} does not descend`
      : `the position ${e.position} is of timeline ${e.expected}, which the server left at ${e.left}: what was read behind that is not in its history`,
  hint: `A server was promoted that did not have the last transactions: the consumer has rows that this server never had. Begin anew. ${BEGIN_ANEW}`,
})

export const POSITION_AHEAD = defineError('POSITION_AHEAD', {
  retry: 'operator',
  message: (e: { position: string; end: string; slot: string }) =>
    `the position ${e.position} lies beyond all WAL of the server, which ends at ${e.end}: what slot ${e.slot} would send next could not be told from what was read`,
  hint: `The server was put back to an earlier state, as from a copy of its disk, or the position is not its own: the consumer has rows that this server never had. Begin anew. ${BEGIN_ANEW}`,
})

export const SLOT_AHEAD = defineError('SLOT_AHEAD', {
  retry: 'operator',
  message: (e: { slot: string; confirmed: string; position: string }) =>
    `replication slot "${e.slot}" has moved to ${e.confirmed}, beyond the position ${e.position}: changes between them are gone`,
  hint: 'Somebody else read or advanced the slot, or made it anew. Begin anew with a snapshot, without the position, and give each reader a slot of its own.',
})

export const SNAPSHOT_DIFFERS = defineError('SNAPSHOT_DIFFERS', {
  retry: 'never',
  message: (e: { expected: string; found: string }) => `a worker reads in snapshot ${e.found} instead of ${e.expected}`,
  hint: 'A connection pooler in transaction mode between us and the server does this. Connect to the server directly.',
})

export const TABLE_NOT_CAPTURED = defineError('TABLE_NOT_CAPTURED', {
  retry: 'operator',
  message: (e: { tables: string; problem: string; captured: readonly string[] }) => `${e.tables}: ${e.problem}`,
  hint: (e) => `Captured are: ${e.captured.join(', ')}.`,
})

export const TABLE_NEEDS_PUBLICATION = defineError('TABLE_NEEDS_PUBLICATION', {
  retry: 'operator',
  message: (e: { tables: readonly string[]; publication: string }) =>
    `${e.tables.join(', ')} would be captured through publication ${e.publication}, which this stream was not begun with`,
  hint: 'Tables of which only inserts are captured have a publication of their own. Give the table a primary key or REPLICA IDENTITY FULL, or begin anew with it.',
})

export const WHERE_INVALID = defineError('WHERE_INVALID', {
  retry: 'operator',
  message: (e: { table: string; where: string; problem: string }) =>
    `the condition ${JSON.stringify(e.where)} does not fit ${e.table}: ${e.problem}`,
  hint: 'Write it as behind WHERE, with the columns of the table and the functions of pg_catalog, others with their schema.',
})

export const SOURCE_ENDED = defineError('SOURCE_ENDED', {
  retry: 'operator',
  message: () => 'the source has ended: its tables cannot be changed any more',
  hint: 'Tables are changed while the loop over the source runs; name others when it is made anew.',
})

export const SNAPSHOT_NOT_KEPT = defineError('SNAPSHOT_NOT_KEPT', {
  retry: 'operator',
  message: (e: { slot: string }) =>
    `an incremental snapshot into slot ${e.slot} could not be gone on with: nothing keeps how far it is`,
  hint: 'Keep the position: --state FILE on the command line, `position` in the library. Or read the rows with --strategy consistent.',
})

export const SNAPSHOT_INTERRUPTED = defineError('SNAPSHOT_INTERRUPTED', {
  retry: 'later',
  message: (e: { problem: string }) => `the snapshot was interrupted: ${e.problem}`,
  hint: 'Start again: with the position (--state) it goes on where it was; without one it begins anew, and what was written of it is to be thrown away.',
})

export const TEMPORARY_SLOT_LOST = defineError('TEMPORARY_SLOT_LOST', {
  retry: 'operator',
  message: (e: { problem: string }) => `the connection that owned the temporary slot is gone: ${e.problem}`,
  hint: 'Without slot and state a run cannot go on after a lost connection. Start again, with --slot or --state to have it resume by itself.',
})

export const WAL_LEVEL = defineError('WAL_LEVEL', {
  retry: 'operator',
  message: (e: { found: string }) => `the server's wal_level is "${e.found}"; changes need "logical"`,
  hint: 'ALTER SYSTEM SET wal_level = logical; then restart the server. On Amazon RDS set rds.logical_replication = 1, on Cloud SQL cloudsql.logical_decoding = on. `--snapshot only` works without it.',
})

export const STANDBY_CANNOT_DECODE = defineError('STANDBY_CANNOT_DECODE', {
  retry: 'later',
  message: (e: { version: string }) =>
    `the server is a standby of PostgreSQL ${e.version}, and changes are decoded on standbys from version 16 on`,
  hint: 'Connect to the primary: target_session_attrs=primary in the connection string picks it of several hosts. A run that was streaming goes on when this standby is promoted. `--snapshot only` works here.',
})

export const SLOT_TIMEOUT = defineError('SLOT_TIMEOUT', {
  retry: 'later',
  message: (e: { seconds: number; holders: readonly string[] }) =>
    `the slot could not be made within ${e.seconds} s: the server waits for ${e.holders.join(', ') || 'running transactions'}`,
  hint: 'End these transactions (COMMIT or ROLLBACK PREPARED for a prepared one), or wait longer with --slot-timeout-ms (slotTimeoutMs).',
})

export const SOURCE_USED = defineError('SOURCE_USED', {
  retry: 'never',
  message: (_: object) => 'a PostgresSource runs once, and this one has been iterated already',
  hint: 'Make another one, with the position to go on from.',
})

export const ACK_UNKNOWN = defineError('ACK_UNKNOWN', {
  retry: 'never',
  message: (e: { position: string }) => `a position was acknowledged that this run has not handed out: ${e.position}`,
  hint: 'Acknowledge positions of batches or records that this source yielded, after they are durable.',
})

export const ACK_FOREIGN = defineError('ACK_FOREIGN', {
  retry: 'never',
  message: (e: { field: string; expected: string; found: string }) =>
    `a position of another run's history was acknowledged: its ${e.field} is ${e.found}, not ${e.expected}`,
  hint: 'LSNs of two histories must not be compared. Acknowledge each position to the source that it came from; nothing was confirmed.',
})

export const STREAMING_GIVEN_UP = defineError('STREAMING_GIVEN_UP', {
  retry: 'later',
  message: (e: { problem: string }) =>
    `large transactions are read when they have committed from now on, not while they run: ${e.problem}`,
  hint: "Nothing is lost. The next run tries it again; with streaming: 'off' none does.",
})

export const SPOOL_FULL = defineError('SPOOL_FULL', {
  retry: 'operator',
  message: (e: { folder: string; problem: string }) =>
    `the spool of large transactions in ${e.folder} is full: ${e.problem}`,
  hint: "Raise spoolMaxBytes, or name a folder with more room in spoolFolder; with streaming: 'off' large transactions wait on the server's disk instead.",
})

export const SPOOL_FAILED = defineError('SPOOL_FAILED', {
  retry: 'operator',
  message: (e: { folder: string; problem: string }) => `cannot spool a large transaction in ${e.folder}: ${e.problem}`,
  hint: "Name a folder that can be written and read in spoolFolder; with streaming: 'off' none is needed.",
})

export const SPOOL_DAMAGED = defineError('SPOOL_DAMAGED', {
  retry: 'later',
  message: (e: { file: string; problem: string }) => `the spool file ${e.file} was damaged: ${e.problem}`,
  hint: 'The server sends the transaction again. Look at the disk, or name another folder in spoolFolder.',
})

export const REDELIVERY_CHANGED = defineError('REDELIVERY_CHANGED', {
  retry: 'operator',
  message: (e: { lsn: string; seq: number }) =>
    `the server resends the transaction at ${e.lsn} with other rows before index ${e.seq} than it sent first`,
  hint: 'The publication was changed while that transaction ran. To get it whole once more, resume with onRedeliveryChange: "repeat"; nothing was skipped.',
})

// ── Values ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export const VALUE_MALFORMED = defineError('VALUE_MALFORMED', {
  retry: 'operator',
  message: (e: { type: string; problem: string; offset: number; length: number }) =>
    `cannot read a value of type ${e.type}: ${e.problem} at byte ${e.offset} of ${e.length}`,
  hint: 'The type may have been altered or dropped while changes made before were still unread. If it was not, please report it with the server version and the type.',
})

export const COLUMN_UNKNOWN = defineError('COLUMN_UNKNOWN', {
  retry: 'operator',
  message: (e: { schema: string; table: string; column: string; near: string | undefined }) =>
    `table ${e.schema}.${e.table} has no column "${e.column}"`,
  hint: (e) =>
    e.near === undefined
      ? "Look at the record's `table.columns`."
      : `Did you mean "${e.near}"? Names are case-sensitive.`,
})

export const MESSAGE_NOT_EXPECTED = defineError('MESSAGE_NOT_EXPECTED', {
  retry: 'never',
  message: (e: { message: string }) => `the server sent a ${e.message} message, which was not asked for`,
  hint: 'The slot may have been made with two_phase. Use a slot without it: rows of a confirmed PREPARE never come again.',
})

// ── Tables, publications, slots ─────────────────────────────────────────────────────────────────────────────────────

export const TABLE_PATTERN_INVALID = defineError('TABLE_PATTERN_INVALID', {
  retry: 'operator',
  message: (e: { text: string; position: number; problem: string }) =>
    `cannot read the table names ${JSON.stringify(e.text)} at character ${e.position}: ${e.problem}`,
  hint: 'Write name, schema.name, schema.* or *.*, with commas between; quote a part as in SQL where it holds dots, commas, colons, stars or quotes: sales."Odd.Name".',
})

export const TABLE_NOT_FOUND = defineError('TABLE_NOT_FOUND', {
  retry: 'operator',
  message: (e: { names: readonly string[]; nearest: readonly string[] }) => `no table is named ${e.names.join(', ')}`,
  hint: (e) =>
    e.nearest.length > 0
      ? `Did you mean ${e.nearest.join(', ')}? A name without a schema is of schema public.`
      : 'A name without a schema is of schema public: write schema.name, and check that the URL names the right database.',
})

export const TABLE_NOT_CAPTURABLE = defineError('TABLE_NOT_CAPTURABLE', {
  retry: 'operator',
  message: (e: { table: string; what: string }) => `${e.table} cannot be captured: it is ${e.what}`,
  hint: 'The server writes only ordinary and partitioned tables that are neither temporary nor unlogged to its replication stream. Leave it out, or for a view name the tables below it.',
})

export const PARTITION_NOT_EXCLUDABLE = defineError('PARTITION_NOT_EXCLUDABLE', {
  retry: 'operator',
  message: (e: { partition: string; root: string }) =>
    `partition ${e.partition} cannot be left out while its partitioned table ${e.root} is captured`,
  hint: (e) => `Its rows arrive as rows of ${e.root}. Exclude ${e.root}, and name the partitions that are wanted.`,
})

export const NO_TABLES = defineError('NO_TABLES', {
  retry: 'operator',
  message: (e: { include: string }) => `no table is left of ${e.include} after the exclusions`,
  hint: 'Name at least one table that is not excluded.',
})

export const COLUMN_NOT_FOUND = defineError('COLUMN_NOT_FOUND', {
  retry: 'operator',
  message: (e: { table: string; column: string; nearest: string | undefined; columns: string }) =>
    `table ${e.table} has no column ${JSON.stringify(e.column)}`,
  hint: (e) => (e.nearest === undefined ? `Its columns are ${e.columns}.` : `Did you mean ${e.nearest}?`),
})

export const TABLE_NOT_READABLE = defineError('TABLE_NOT_READABLE', {
  retry: 'operator',
  message: (e: { user: string; tables: readonly string[]; sql: string }) =>
    `role ${e.user} may not read ${e.tables.join(', ')}`,
  hint: (e) => `As their owner or a superuser run: ${e.sql}`,
})

export const ROW_SECURITY_ACTIVE = defineError('ROW_SECURITY_ACTIVE', {
  retry: 'operator',
  message: (e: { user: string; tables: readonly string[]; sql: string }) =>
    `row level security hides rows of ${e.tables.join(', ')} from role ${e.user}`,
  hint: (e) =>
    `A snapshot would lack them while the stream has them all. As a superuser run: ${e.sql} (or connect as a role that has it).`,
})

export const TOAST_NOT_FETCHED = defineError('TOAST_NOT_FETCHED', {
  retry: 'operator',
  message: (e: { table: string; problem: string }) =>
    `cannot read unchanged values of ${e.table} from it: ${e.problem}`,
  hint: 'Mend that (the role needs SELECT on the table, and no row level security that hides its rows) and start again; or go on with toast: "omit", which names such columns in `unchanged`.',
})

export const REPLICA_IDENTITY_MISSING = defineError('REPLICA_IDENTITY_MISSING', {
  retry: 'operator',
  message: (e: { tables: readonly string[]; sql: string }) =>
    `no replica identity tells the rows apart of ${e.tables.join(', ')}: UPDATE and DELETE on them would fail once they are published`,
  hint: (e) =>
    `Run: ${e.sql}\nor capture their inserts and truncates only, with --keyless inserts (keyless); or leave them out, with --keyless skip.`,
})

export const KEY_OUTSIDE_IDENTITY = defineError('KEY_OUTSIDE_IDENTITY', {
  retry: 'operator',
  message: (e: { table: string; key: string; identity: string; sql: string }) =>
    `key (${e.key}) of ${e.table} is not part of its replica identity (${e.identity}): deletes and key changes would not have it`,
  hint: (e) =>
    `Run: ${e.sql}\nor choose a key among ${e.identity}, or capture inserts only, with --keyless inserts (keyless).`,
})

export const KEY_COLUMN_UNPUBLISHED = defineError('KEY_COLUMN_UNPUBLISHED', {
  retry: 'operator',
  message: (e: { table: string; column: string; problem: string }) =>
    `key column ${e.column} of ${e.table} is not published: ${e.problem}`,
  hint: "Choose a key without it. Or have it published: add it to the publication's column list (ALTER PUBLICATION … SET TABLE …); a stored generated column comes with publish_generated_columns = stored, on PostgreSQL 18.",
})

export const GENERATED_COLUMN_IN_IDENTITY = defineError('GENERATED_COLUMN_IN_IDENTITY', {
  retry: 'operator',
  message: (e: { table: string; column: string; sql: string }) =>
    `generated column ${e.column} is part of the replica identity of ${e.table} and would not be published: UPDATE and DELETE on the table would fail`,
  hint: (e) => `Run: ${e.sql}\nor capture inserts and truncates only, with --keyless inserts (keyless).`,
})

export const PUBLICATION_UNFIT = defineError('PUBLICATION_UNFIT', {
  retry: 'operator',
  message: (e: { publication: string; problems: readonly string[]; sql: string; manageable: boolean }) =>
    `publication ${e.publication} does not fit: ${e.problems.join('; ')}`,
  hint: (e) =>
    `As its owner run: ${e.sql}\n${e.manageable ? 'or let tailrace do so, with --manage-publication; ' : ''}or use another publication, with --publication (publication).`,
})

export const PUBLICATION_DENIED = defineError('PUBLICATION_DENIED', {
  retry: 'operator',
  message: (e: { publication: string; problem: string; sql: string }) =>
    `the server does not let us make publication ${e.publication}: ${e.problem}`,
  hint: (e) =>
    `It takes CREATE on the database and ownership of the tables. As the owner or a superuser run: ${e.sql}\nthen start with --publication of that name (publication). A publication of another name for tables without key is told of in the same way.`,
})

export const PUBLICATION_ON_STANDBY = defineError('PUBLICATION_ON_STANDBY', {
  retry: 'operator',
  message: (e: { publication: string; sql: string }) =>
    `publication ${e.publication} is not as it must be, and nothing can be written on this server: it is a standby, or its transactions are read-only`,
  hint: (e) => `On the primary run: ${e.sql}\nthen start again here with --publication of that name (publication).`,
})

export const PUBLICATION_MISSING = defineError('PUBLICATION_MISSING', {
  retry: 'operator',
  message: (e: { publication: string; lsn: string }) =>
    `publication "${e.publication}" is not there, or was not when changes after ${e.lsn} were made: those that were written without it are lost`,
  hint: `Somebody dropped it. Give the publication that the slot was read with, if it has another name; else begin anew. ${BEGIN_ANEW}`,
})

export const PUBLICATION_CHANGED = defineError('PUBLICATION_CHANGED', {
  retry: 'operator',
  message: (e: { change: string; from: string; to: string }) =>
    `${e.change}, between ${e.from} and ${e.to}: changes in between may be missing`,
  hint: `The server judges each change by the publication as it was then. If nothing was written meanwhile, go on with --on-publication-change continue (onPublicationChange); else begin anew. ${BEGIN_ANEW}`,
})

export const SLOT_MISSING = defineError('SLOT_MISSING', {
  retry: 'operator',
  message: (e: { slot: string }) => `replication slot "${e.slot}" does not exist`,
  hint: `Somebody dropped it, or the server was replaced without it: changes since then are lost to this run. Check the name and server, or begin anew. ${BEGIN_ANEW} ${REPAIR}`,
})

export const SLOT_LOST = defineError('SLOT_LOST', {
  retry: 'operator',
  message: (e: { slot: string; reason: string }) => `replication slot "${e.slot}" is lost (${e.reason})`,
  hint: `The server gave up changes that the slot still needed. Raise max_slot_wal_keep_size or see to the reason, and begin anew. ${BEGIN_ANEW} ${REPAIR}`,
})

export const WAL_BUDGET_REACHED = defineError('WAL_BUDGET_REACHED', {
  retry: 'operator',
  message: (e: { slot: string; temporary: boolean; heldBytes: number; budgetBytes: number }) =>
    `replication slot "${e.slot}" holds ${describeBytes(e.heldBytes)} of WAL, and walBudgetBytes allows ${describeBytes(e.budgetBytes)}`,
  hint: (e) =>
    e.temporary
      ? 'The slot was a temporary one and is gone, the server frees its WAL. Begin again with a larger --wal-budget (walBudgetBytes) or a faster consumer.'
      : `Nothing is lost, but the slot goes on holding WAL: see what held it up (docs/wal.md), and start the same command again with a larger --wal-budget (walBudgetBytes). To free the WAL at once drop the slot (tailrace slots drop ${e.slot}); after that only a new snapshot helps.`,
})

export const SLOT_PHYSICAL = defineError('SLOT_PHYSICAL', {
  retry: 'operator',
  message: (e: { slot: string }) => `replication slot "${e.slot}" is physical: it belongs to a standby or a backup`,
  hint: 'Choose another slot name.',
})

export const SLOT_OTHER_PLUGIN = defineError('SLOT_OTHER_PLUGIN', {
  retry: 'operator',
  message: (e: { slot: string; plugin: string; expected: string }) =>
    `replication slot "${e.slot}" is of output plugin ${e.plugin}, not ${e.expected}`,
  hint: 'It belongs to another program. Choose another slot name.',
})

export const SLOT_OTHER_DATABASE = defineError('SLOT_OTHER_DATABASE', {
  retry: 'operator',
  message: (e: { slot: string; database: string; expected: string }) =>
    `replication slot "${e.slot}" is of database "${e.database}", not "${e.expected}"`,
  hint: 'Slot names are shared by all databases of a server. Choose another name, or connect to that database.',
})

export const SLOT_ACTIVE = defineError('SLOT_ACTIVE', {
  retry: 'later',
  message: (e: {
    slot: string
    pid?: number | undefined
    application?: string | undefined
    address?: string | undefined
  }) =>
    `replication slot "${e.slot}" is in use${e.pid === undefined ? '' : ` by the server's process ${e.pid}`}${e.application === undefined ? '' : ` ("${e.application}"${e.address === undefined ? '' : ` from ${e.address}`})`}`,
  hint: 'Another run reads it: stop that one, or use another slot. If it is gone, the server notices after wal_sender_timeout.',
})

export const SLOT_TWO_PHASE = defineError('SLOT_TWO_PHASE', {
  retry: 'operator',
  message: (e: { slot: string }) => `replication slot "${e.slot}" was made with two_phase`,
  hint: 'It sends prepared transactions before their commit, which a restart in between would lose. Use a slot without two_phase.',
})

export const SLOT_SYNCHRONISED = defineError('SLOT_SYNCHRONISED', {
  retry: 'later',
  message: (e: { slot: string }) =>
    `replication slot "${e.slot}" is the copy that this standby keeps of the primary's, which nobody can read before the standby is promoted`,
  hint: 'Connect to the primary: target_session_attrs=primary in the connection string picks it of several hosts. A run that was streaming goes on when this standby is promoted. To read from the standby itself use a slot of another name.',
})

export const SLOT_EXISTS = defineError('SLOT_EXISTS', {
  retry: 'operator',
  message: (e: { slot: string }) => `replication slot "${e.slot}" exists already`,
  hint: (e) =>
    `Choose another name with --slot (slot). If nobody needs it (tailrace slots tells who reads it), drop it: SELECT pg_drop_replication_slot('${e.slot}').`,
})

export const SLOTS_EXHAUSTED = defineError('SLOTS_EXHAUSTED', {
  retry: 'operator',
  message: (e: { slot: string }) => `the server has no free replication slot for "${e.slot}"`,
  hint: 'Drop one that nobody reads (SELECT slot_name, active FROM pg_replication_slots), or raise max_replication_slots, which takes a restart.',
})

export const SLOT_UNKNOWN = defineError('SLOT_UNKNOWN', {
  retry: 'operator',
  message: (e: { slot: string; near: string | undefined; known: readonly string[] }) =>
    `no replication slot of this server is named "${e.slot}"`,
  hint: (e) =>
    e.near !== undefined
      ? `Did you mean "${e.near}"?`
      : e.known.length === 0
        ? 'It has none at all: check the server in the URL.'
        : `It has: ${e.known.slice(0, 20).join(', ')}${e.known.length > 20 ? ', …' : ''}.`,
})

export const SLOT_IN_USE = defineError('SLOT_IN_USE', {
  retry: 'operator',
  message: (e: { slot: string; pid: number | undefined; application: string | undefined }) =>
    `replication slot "${e.slot}" is being read by process ${e.pid ?? '(not shown to us)'}${e.application === undefined ? '' : ` (${e.application})`}`,
  hint: 'Stop that reader first. With --force its connection is ended and the slot dropped: the changes that it has not read yet are lost to it.',
})

export const SLOT_TEMPORARY = defineError('SLOT_TEMPORARY', {
  retry: 'operator',
  message: (e: { slot: string; pid: number | undefined; application: string | undefined }) =>
    `replication slot "${e.slot}" is a temporary one of the session of process ${e.pid ?? '(not shown to us)'}${e.application === undefined ? '' : ` (${e.application})`}`,
  hint: 'It goes by itself when that session ends, and nobody else can drop it. --force ends the session.',
})

export const SLOT_NOT_RELEASED = defineError('SLOT_NOT_RELEASED', {
  retry: 'later',
  message: (e: { slot: string; pid: number | undefined; application: string | undefined; seconds: number }) =>
    `replication slot "${e.slot}" is still in use after ${e.seconds} s${e.pid === undefined ? '' : ` (process ${e.pid}${e.application === undefined ? '' : `, ${e.application}`})`}`,
  hint: 'Its reader comes back faster than the slot can be dropped, or its process does not end: stop the reader where it runs, then try again.',
})

export const SLOT_DROP_DENIED = defineError('SLOT_DROP_DENIED', {
  retry: 'operator',
  message: (e: { slot: string; what: string; needs: string }) =>
    `the server does not let us drop replication slot "${e.slot}": to ${e.what} takes ${e.needs}`,
  hint: 'Give the role of the URL what it lacks (a session of a superuser can only be ended by a superuser), or connect with another role.',
})

// ── The command line ────────────────────────────────────────────────────────────────────────────────────────────────

export const OUTPUT_FAILED = defineError('OUTPUT_FAILED', {
  retry: 'operator',
  message: (e: { name: string; problem: string; errno?: string | undefined }) =>
    `cannot write to ${e.name}: ${e.problem}`,
  hint: 'Make room or mend the permissions and start the same command again: with --state nothing is lost or written twice.',
})

export const OUTPUT_CLOSED = defineError('OUTPUT_CLOSED', {
  retry: 'operator',
  message: (e: { name: string }) => `whoever read ${e.name} has closed it`,
  hint: 'Nothing that was not read is confirmed.',
})

export const ENCODER_FAILED = defineError('ENCODER_FAILED', {
  retry: 'operator',
  message: (e: { problem: string }) => `the thread that makes lines of rows has failed: ${e.problem}`,
  hint: 'Nothing that was not written is confirmed: start the same command again. If it fails again, give the machine more memory or report it with this message.',
})

export const STATE_CORRUPT = defineError('STATE_CORRUPT', {
  retry: 'operator',
  message: (e: { path: string; problem: string }) => `the state file ${e.path} cannot be used: ${e.problem}`,
  hint: 'It is written in one piece, so something else damaged it. Restore it from a copy; or remove it, drop its slot, empty the output and begin anew.',
})

export const STATE_FAILED = defineError('STATE_FAILED', {
  retry: 'operator',
  message: (e: { path: string; problem: string }) => `cannot read or write the state file ${e.path}: ${e.problem}`,
  hint: 'Check the folder, its permissions and the free space, then start the same command again.',
})

export const STATE_LOCKED = defineError('STATE_LOCKED', {
  retry: 'later',
  message: (e: { path: string; pid: number }) => `the state file ${e.path} is in use by process ${e.pid}`,
  hint: 'Wait for that run to end, or give this one a state file, an output and a slot of its own.',
})

export const OUTPUT_LOCKED = defineError('OUTPUT_LOCKED', {
  retry: 'later',
  message: (e: { path: string; pid: number }) => `the output ${e.path} is being written by process ${e.pid}`,
  hint: 'Wait for that run to end, or give this one an output of its own.',
})

export const OUTPUT_MOVED = defineError('OUTPUT_MOVED', {
  retry: 'operator',
  message: (e: { path: string }) => `the output ${e.path} was moved or deleted while the run was writing to it`,
  hint: 'What was written since the last recorded position is in the old file, and comes again. With --state put the file back and start again, or begin anew: remove the state file and drop the slot. To rotate, end the run first.',
})

export const STATE_MISMATCH = defineError('STATE_MISMATCH', {
  retry: 'operator',
  message: (e: { path: string; problem: string }) => `the state file ${e.path} belongs to another run: ${e.problem}`,
  hint: 'Give the options it was made with, or another state file for a new run.',
})

// ── Signals to a run ────────────────────────────────────────────────────────────────────────────────────────────────

export const RUN_NOT_FOUND = defineError('RUN_NOT_FOUND', {
  retry: 'operator',
  message: (e: { paths: readonly string[] }) => `no run listens at ${e.paths.join(' or ')}`,
  hint: 'Name it as the run does: --state with the same file, --slot where it has no state, or --control. When none is running, start it with other --tables: that does the same.',
})

export const CONTROL_IN_USE = defineError('CONTROL_IN_USE', {
  retry: 'operator',
  message: (e: { path: string; pid: number | undefined }) =>
    `the control socket ${e.path} is in use by ${e.pid === undefined ? 'another program' : `process ${e.pid}`}`,
  hint: 'Give this run a socket of its own with --control, or none with --no-control.',
})

export const CONTROL_FAILED = defineError('CONTROL_FAILED', {
  retry: 'operator',
  message: (e: { path: string; problem: string }) => `cannot use the control socket ${e.path}: ${e.problem}`,
  hint: 'Only the user who started the run may use its socket. Check the folder and its permissions, or name another place with --control (both for tailrace stream and tailrace signal).',
})

export const SIGNAL_INVALID = defineError('SIGNAL_INVALID', {
  retry: 'never',
  message: (e: { problem: string; near: string | undefined }) => `cannot understand the signal: ${e.problem}`,
  hint: (e) =>
    e.near === undefined
      ? 'Use tailrace signal of the same version as the run; docs/signals.md has the protocol.'
      : `Did you mean ${e.near}?`,
})

export const SIGNAL_UNAVAILABLE = defineError('SIGNAL_UNAVAILABLE', {
  retry: 'later',
  message: (e: { problem: string }) => `the run cannot do that: ${e.problem}`,
  hint: '"tailrace signal status" tells how it is. Try again when it streams, or start it with other --tables.',
})

export const SIGNAL_UNANSWERED = defineError('SIGNAL_UNANSWERED', {
  retry: 'later',
  message: (e: { path: string; problem: string }) => `the run at ${e.path} did not finish its answer: ${e.problem}`,
  hint: 'What was begun may have been done: when the run is there again, "tailrace signal status" tells which tables it captures.',
})

// ── Long polling ────────────────────────────────────────────────────────────────────────────────────────────────────

export const POLLING_KEY_MISSING = defineError('POLLING_KEY_MISSING', {
  retry: 'operator',
  message: (e: { table: string }) => `table ${e.table} cannot be polled: it has neither a key nor a cursor column`,
  hint: (e) =>
    `Give it a primary key (ALTER TABLE ${e.table} ADD PRIMARY KEY (…);), name one (--key ${e.table}:column), or, unless it is partitioned, a column that grows with every change (--cursor ${e.table}:updated_at).`,
})

export const POLLING_CURSOR_INVALID = defineError('POLLING_CURSOR_INVALID', {
  retry: 'operator',
  message: (e: { table: string; problem: string }) => `the cursor of table ${e.table} cannot be used: ${e.problem}`,
  hint: 'A cursor is one column whose value grows: what a later transaction writes into it is never lower, such as updated_at or an identity column. docs/long-polling.md says what it is good for.',
})

export const POSITION_OTHER_MODE = defineError('POSITION_OTHER_MODE', {
  retry: 'operator',
  message: (e: { expected: string; found: string }) => `the position is of cdcMode ${e.expected}, not of ${e.found}`,
  hint: (e) =>
    `Go on with cdcMode: "${e.expected}" (--cdc-mode ${e.expected}, or auto), or begin anew without the position: one mode cannot tell what the other one read.`,
})

export const POLLING_HISTORY_LOST = defineError('POLLING_HISTORY_LOST', {
  retry: 'operator',
  message: (e: { problem: string }) => `polling cannot go on where it was: ${e.problem}`,
  hint: 'Which rows are new is told by the transactions that wrote them, and these are numbered in one history only. Begin anew: remove the state file or stored position and empty what was written.',
})
