import { defineError } from './tailraceError.js'

// ── The target's tables ─────────────────────────────────────────────────────────────────────────────────────────────

export const TARGET_TABLE_MISSING = defineError('TARGET_TABLE_MISSING', {
  retry: 'operator',
  message: (e: { table: string; source: string }) => `the target has no table ${e.table} for the rows of ${e.source}`,
  hint: (e) =>
    `Create it with the source's columns and key (pg_dump --schema-only --table prints the SQL), or let the setting "table" name another than ${e.table}.`,
})

export const TARGET_TABLE_GONE = defineError('TARGET_TABLE_GONE', {
  retry: 'operator',
  message: (e: { table: string; source: string }) =>
    `the target's table ${e.table}, into which rows of ${e.source} were written before, is gone`,
  hint: (e) =>
    `Put it back, with its rows. Or create it with the source's columns and key (pg_dump --schema-only --table prints the SQL), start again, and have ${e.source} read once more (tailrace signal resnapshot, or resnapshot() of the source).`,
})

export const TARGET_NOT_A_TABLE = defineError('TARGET_NOT_A_TABLE', {
  retry: 'operator',
  message: (e: { table: string; kind: string }) => `${e.table} is a ${e.kind}: only tables are written`,
  hint: 'Let the setting "table" name a table, ordinary or partitioned.',
})

export const TARGET_IS_SOURCE = defineError('TARGET_IS_SOURCE', {
  retry: 'operator',
  message: (e: { table: string; source: string }) =>
    `the target is the very database that is read: ${e.table === e.source ? `${e.table} would be written into itself` : `${e.source}, whose rows are to go into ${e.table}, is itself written to`}, and each row would come again as a change`,
  hint: 'Nothing of the batch was written. Name another database as the target; or, for copies within one, other names (setting "table") and at the source (tables, exclude) only tables that are not written to.',
})

export const TARGET_TABLE_RESERVED = defineError('TARGET_TABLE_RESERVED', {
  retry: 'operator',
  message: (e: { table: string; source: string }) =>
    `rows of ${e.source} cannot go into the target's table ${e.table}: the run keeps its own place there`,
  hint: 'Leave that table out at the source (exclude), where it is what another run keeps; or name another checkpointSchema.',
})

export const TARGET_COLUMN_MISSING = defineError('TARGET_COLUMN_MISSING', {
  retry: 'operator',
  message: (e: { table: string; column: string; type: string; source: string | undefined }) =>
    `the target's table ${e.table} has no column ${e.column} ${e.source === undefined ? 'for what is to be added to its rows' : `for that of ${e.source}`}`,
  hint: (e) =>
    `ALTER TABLE ${e.table} ADD COLUMN ${e.column} ${e.type};${e.source === undefined ? '' : ' or leave the column out at the source (setting "columns").'}`,
})

export const ADDED_COLUMN_TAKEN = defineError('ADDED_COLUMN_TAKEN', {
  retry: 'operator',
  message: (e: { source: string; column: string; setting: string }) =>
    `${e.source} has a column ${e.column} of its own, which is to be added at the target`,
  hint: (e) => `Set "${e.setting}" so that the names differ.`,
})

export const TARGET_KEY_MISSING = defineError('TARGET_KEY_MISSING', {
  retry: 'operator',
  message: (e: { table: string; key: string; setting?: string }) =>
    `the target's table ${e.table} has no unique index on exactly the key of its records, (${e.key})`,
  hint: (e) =>
    `CREATE UNIQUE INDEX ON ${e.table} (${e.key}); or name another key for the table in the setting "${e.setting ?? 'keys'}".`,
})

export const TARGET_KEY_NOT_BUILT = defineError('TARGET_KEY_NOT_BUILT', {
  retry: 'operator',
  message: (e: { table: string; key: string; problem: string; sqlstate: string | undefined; sql: string }) =>
    `the key (${e.key}) of the target's table ${e.table}, which was to be built behind its first copy, could not be: ${e.problem}${e.sqlstate === undefined ? '' : ` [SQLSTATE ${e.sqlstate}]`}`,
  hint: (e) =>
    `It was tried with: ${e.sql}; Rows that have the same key were written there by somebody else: SELECT ${e.key}, count(*) FROM ${e.table} GROUP BY ${e.key} HAVING count(*) > 1; finds them. Delete those, or mend what else the message says, and start again: all that was copied is kept.`,
})

export const TARGET_TYPE_MISSING = defineError('TARGET_TYPE_MISSING', {
  retry: 'operator',
  message: (e: { table: string; column: string; type: string; what: string; sql: string }) =>
    `column ${e.column} of the target's table ${e.table} cannot be made: the target has no type ${e.type} (${e.what})`,
  hint: (e) => `At the target: ${e.sql} Then start again.`,
})

export const TARGET_NOT_MADE = defineError('TARGET_NOT_MADE', {
  retry: 'operator',
  message: (e: {
    table: string
    action: 'made' | 'altered'
    problem: string
    sqlstate: string | undefined
    sql: string
  }) =>
    `the target's table ${e.table} could not be ${e.action}: ${e.problem}${e.sqlstate === undefined ? '' : ` [SQLSTATE ${e.sqlstate}]`}`,
  hint: (e) => `It was tried with: ${e.sql} Run it as a role that may, changed as need be, and start again.`,
})

export const COLUMN_MAYBE_RENAMED = defineError('COLUMN_MAYBE_RENAMED', {
  retry: 'operator',
  message: (e: { table: string; source: string; column: string; type: string; other: string | undefined }) =>
    `the target's table ${e.table} has no column ${e.column} for that of ${e.source}, and whether it was added or renamed cannot be told`,
  hint: (e) =>
    `If it was renamed: ALTER TABLE ${e.table} RENAME COLUMN ${e.other ?? '…'} TO ${e.column}; if it was added: ALTER TABLE ${e.table} ADD COLUMN ${e.column} ${e.type}; Then start again: all that came before is written.`,
})

export const COLUMN_REPLACED = defineError('COLUMN_REPLACED', {
  retry: 'operator',
  message: (e: { table: string; column: string; type: string }) =>
    `column ${e.column} was dropped at the source and made anew: the target's table ${e.table} has the old one's values`,
  hint: (e) =>
    `ALTER TABLE ${e.table} DROP COLUMN ${e.column}, ADD COLUMN ${e.column} ${e.type}; and start again. Then have the table read once more (tailrace signal resnapshot, or resnapshot() of the source).`,
})

export const COLUMN_VALUES_UNKNOWN = defineError('COLUMN_VALUES_UNKNOWN', {
  retry: 'operator',
  message: (e: { table: string; column: string; type: string }) =>
    `column ${e.column} was added at the source with values for the rows that were there, of which it tells nothing: the target's table ${e.table} cannot follow`,
  hint: (e) =>
    `ALTER TABLE ${e.table} ADD COLUMN ${e.column} ${e.type}; and start again: all that came before is written. Then have the table read once more (tailrace signal resnapshot, or resnapshot() of the source), so that the older rows get their values.`,
})

export const TARGET_TYPE_DIFFERS = defineError('TARGET_TYPE_DIFFERS', {
  retry: 'operator',
  message: (e: { table: string; column: string; from: string; to: string }) =>
    `column ${e.column} became ${e.to} at the source, and is ${e.from} in the target's table ${e.table}: that is no widening`,
  hint: (e) =>
    `ALTER TABLE ${e.table} ALTER COLUMN ${e.column} TYPE ${e.to} USING …; with the expression that was used at the source, and start again: all that came before is written.`,
})

export const TARGET_DENIED = defineError('TARGET_DENIED', {
  retry: 'operator',
  message: (e: { problem: string; tables: string }) =>
    `the target refuses to be written${behind(e.tables)}: ${e.problem} [SQLSTATE 42501]`,
  hint: 'Its role needs SELECT, INSERT, UPDATE, DELETE (and TRUNCATE) on the tables, USAGE on their schemas, TEMPORARY on the database, and CREATE on it at the first start, for the checkpoint.',
})

export const TARGET_READ_ONLY = defineError('TARGET_READ_ONLY', {
  retry: 'operator',
  message: (e: { problem: string; tables: string }) =>
    `the target is read-only${behind(e.tables)}: ${e.problem} [SQLSTATE 25006]`,
  hint: 'It is a standby (SELECT pg_is_in_recovery()), or its default_transaction_read_only is on. Promote it, name the primary (several hosts with target_session_attrs=read-write find it), or ALTER DATABASE … RESET default_transaction_read_only; then start again: nothing of the batch was written.',
})

export const TARGET_DISK_FULL = defineError('TARGET_DISK_FULL', {
  retry: 'operator',
  message: (e: { problem: string; tables: string }) =>
    `the target has no room left on its disk${behind(e.tables)}: ${e.problem} [SQLSTATE 53100]`,
  hint: 'Make room where the target keeps what the message names (its data folder, a tablespace, temporary files), then start again: nothing of the batch was written.',
})

/** Which tables a batch was written to. */
function behind(tables: string): string {
  return tables === '' ? '' : ` while rows of ${tables} were written`
}

// ── Records ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const KEY_NOT_TOLD = defineError('KEY_NOT_TOLD', {
  retry: 'operator',
  message: (e: { source: string; key: string; operation: string }) =>
    e.key === ''
      ? `a row of ${e.source} was changed (${e.operation}), which has no key to find it by at the target`
      : `a row of ${e.source} was changed (${e.operation}), and its old (${e.key}) was not told`,
  hint: (e) =>
    `Tables without a key take inserts only; of others the server tells the columns of the replica identity. Give the table a primary key, or ALTER TABLE ${e.source} REPLICA IDENTITY FULL and name a key in the setting "keys".`,
})

export const KEY_INCOMPLETE = defineError('KEY_INCOMPLETE', {
  retry: 'operator',
  message: (e: { source: string; column: string; operation: string }) =>
    `a row of ${e.source} (${e.operation}) has NULL in column ${e.column} of its key`,
  hint: 'Rows are found at the target by their key. Name one in the setting "keys" whose columns are never NULL.',
})

export const ROW_INCOMPLETE = defineError('ROW_INCOMPLETE', {
  retry: 'operator',
  message: (e: { table: string; count: number }) =>
    `${e.count === 1 ? 'a row' : `${e.count} rows`} of the target's table ${e.table} should be there and ${e.count === 1 ? 'is' : 'are'} not: an update left large (TOASTed) values as they were, and they are nowhere else`,
  hint: "Somebody else may have deleted it at the target, or the target never had the source's rows. Have the rows sent once more (a re-snapshot of the table), or set toast: 'fetch' at the source.",
})

export const ROW_REJECTED = defineError('ROW_REJECTED', {
  retry: 'operator',
  message: (e: {
    table: string
    operation: string
    key: string
    id: string
    problem: string
    sqlstate: string | undefined
    column: string | undefined
    constraint: string | undefined
    hint: string | undefined
  }) =>
    `the target's table ${e.table} rejects a row (${e.operation}${e.key === '' ? '' : ` of ${e.key}`}, id ${e.id}): ${e.problem}` +
    (e.sqlstate === undefined ? '' : ` [SQLSTATE ${e.sqlstate}]`) +
    (e.constraint === undefined ? '' : `, constraint ${e.constraint}`) +
    (e.column === undefined ? '' : `, column ${e.column}`),
  hint: (e) =>
    `${e.hint === undefined ? '' : `${e.hint} `}Mend the target's table (or the row there) and start again, nothing of the batch was written; or have such rows put aside: onRejected: "dead-letter", of a pipeline's sink on_error: dead-letter.`,
})

// ── The checkpoint ──────────────────────────────────────────────────────────────────────────────────────────────────

export const DESTINATION_FENCED = defineError('DESTINATION_FENCED', {
  retry: 'operator',
  message: (e: { source: string; checkpoint: string }) =>
    `another writer has taken over source "${e.source}" (its row in ${e.checkpoint} is no longer ours)`,
  hint: 'Nothing of this batch was written. Let one writer run for each source name; two sources into one database need two names.',
})

export const DESTINATION_REWOUND = defineError('DESTINATION_REWOUND', {
  retry: 'later',
  message: (e: { source: string; checkpoint: string; lost: number }) =>
    `the target has lost the last ${e.lost === 1 ? 'transaction' : `${e.lost} transactions`} of source "${e.source}" (by its row in ${e.checkpoint}): it crashed, failed over, or was put back`,
  hint: 'open() says what it still has: begin there with a new source. What was committed with synchronousCommit: "off" was not acknowledged, and comes again.',
})

export const DESTINATION_CLOSED = defineError('DESTINATION_CLOSED', {
  retry: 'never',
  message: (e: { state: string }) => `the destination is ${e.state}`,
  hint: 'open() comes first and gives the position for the source; write() one batch at a time; close() last.',
})
