import { defineError } from './tailraceError.js'

// ── Comparing two databases ─────────────────────────────────────────────────────────────────────────────────────────

export const VERIFY_TARGET_MISSING = defineError('VERIFY_TARGET_MISSING', {
  retry: 'operator',
  message: (e: { tables: readonly string[]; database: string }) =>
    `${e.database} has no table ${e.tables.join(', ')} to compare with`,
  hint: 'Create it, leave its source out with --exclude, or say what the tables are called there with --target-table, such as {schema}.{table}_copy.',
})

export const VERIFY_COLUMNS_MISSING = defineError('VERIFY_COLUMNS_MISSING', {
  retry: 'operator',
  message: (e: { table: string; target: string; columns: readonly string[] }) =>
    `columns of ${e.table} are missing in ${e.target}: ${e.columns.join(', ')}`,
  hint: (e) => `Add them there, or compare the others only: --columns ${e.table}:column,column.`,
})

export const VERIFY_COLUMNS_NONE = defineError('VERIFY_COLUMNS_NONE', {
  retry: 'operator',
  message: (e: { table: string; target: string }) => `${e.table} and ${e.target} have no column in common to compare`,
  hint: 'Compare tables that have columns, and name at least one of them in --columns.',
})

export const VERIFY_TARGET_SHARED = defineError('VERIFY_TARGET_SHARED', {
  retry: 'operator',
  message: (e: { target: string; tables: readonly string[] }) =>
    `${e.tables.join(' and ')} would both be compared with ${e.target}`,
  hint: 'Have --target-table tell them apart, with {schema} and {table} in it, or compare one of them only.',
})

export const VERIFY_KEY_UNUSABLE = defineError('VERIFY_KEY_UNUSABLE', {
  retry: 'operator',
  message: (e: { table: string; key: readonly string[]; problem: string }) =>
    `the key (${e.key.join(', ')}) of ${e.table} does not tell its rows apart: ${e.problem}`,
  hint: 'Name columns that do with --key table:column,column; both sides need them unique and without NULLs.',
})

export const VERIFY_REPAIR_KEYLESS = defineError('VERIFY_REPAIR_KEYLESS', {
  retry: 'operator',
  message: (e: { tables: readonly string[] }) =>
    `without a key rows cannot be repaired one by one: ${e.tables.join(', ')}`,
  hint: 'Name a key with --key table:column,column, leave these tables out with --exclude, or verify without --repair. Nothing was changed.',
})

export const VERIFY_REPAIR_INEFFECTIVE = defineError('VERIFY_REPAIR_INEFFECTIVE', {
  retry: 'operator',
  message: (e: { table: string; rows: number; key: string }) =>
    `rows of ${e.table} would differ still after their repair: ${e.rows}, such as ${e.key}`,
  hint: 'A trigger, a generated column or a rule of the target writes something else. What this transaction had repaired was rolled back.',
})

export const VERIFY_SIDE_FAILED = defineError('VERIFY_SIDE_FAILED', {
  retry: 'operator',
  message: (e: { side: string; to: string; problem: string; hint: string }) => `the ${e.side}, ${e.to}: ${e.problem}`,
  hint: (e) => e.hint,
})

export const VERIFY_INTERRUPTED = defineError('VERIFY_INTERRUPTED', {
  retry: 'later',
  message: (_: object) => 'interrupted before everything was compared',
  hint: 'Nothing is known of the tables that were not told of. Start it again; it takes no notes.',
})
