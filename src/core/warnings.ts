/** What a run tells that goes on: an event with a stable `code`, which stands in docs/errors.md behind the errors. */
export interface Warning {
  readonly type: 'warning'
  readonly code: string
  readonly message: string
  readonly hint: string
}

interface WarningDefinition<Facts extends object> {
  readonly message: (facts: Facts) => string
  readonly hint: string | ((facts: Facts) => string)
}

/** Every warning, by code: what docs/errors.md is made from. */
export const definedWarnings = new Map<string, WarningDefinition<never>>()

/** Adds a row to the table. A code is never used twice, nor again after it was retired. */
function defineWarning<Facts extends object>(
  code: string,
  definition: WarningDefinition<Facts>,
): (facts: Facts) => Warning {
  if (definedWarnings.has(code)) throw new Error(`warning code ${code} is defined twice`)
  definedWarnings.set(code, definition)
  return (facts) => ({
    type: 'warning',
    code,
    message: definition.message(facts),
    hint: typeof definition.hint === 'string' ? definition.hint : definition.hint(facts),
  })
}

// ── At the start ────────────────────────────────────────────────────────────────────────────────────────────────────

export const PASSWORD_FILE_PASSED_OVER = defineWarning('PASSWORD_FILE_PASSED_OVER', {
  message: (e: { problem: string }) => e.problem,
  hint: 'See docs/connections.md.',
})

export const NEW_PARTITIONS_LACK_IDENTITY = defineWarning('NEW_PARTITIONS_LACK_IDENTITY', {
  message: (e: { table: string }) =>
    `new partitions of ${e.table} will have no replica identity, and UPDATE and DELETE on them will fail`,
  hint: (e) => `Give ${e.table} a primary key, or run ALTER TABLE … REPLICA IDENTITY FULL on each new partition.`,
})

export const TABLE_LEFT_OUT = defineWarning('TABLE_LEFT_OUT', {
  message: (e: { table: string; sql: string }) =>
    `table ${e.table} is left out, as keyless = skip says: it has no replica identity, and its UPDATE and DELETE would fail once it is published`,
  hint: (e) =>
    `To have it captured, run: ${e.sql} and start again; or have its inserts and truncates with keyless = inserts.`,
})

export const JSON_CAST_NOT_USED = defineWarning('JSON_CAST_NOT_USED', {
  message: (e: { type: string; cast: string }) =>
    `type ${e.type} has a cast to json (${e.cast}); its values are given as strings`,
  hint: 'Only the server could run the cast: convert the text form where it is consumed.',
})

export const TABLES_CHANGED = defineWarning('TABLES_CHANGED', {
  message: (_: object) => 'other tables are captured than those that the position was read with',
  hint: 'Tables that were added are captured from now on, without the rows they have already. To have these, too: tailrace signal resnapshot (source.resnapshot()).',
})

export const TABLES_WITHOUT_SNAPSHOT = defineWarning('TABLES_WITHOUT_SNAPSHOT', {
  message: (e: { publication: string }) =>
    `tables that were not in publication ${e.publication} before are captured from now on, without their rows`,
  hint: 'To have these, too: tailrace signal resnapshot (source.resnapshot()).',
})

export const WORK_MEM_REFUSED = defineWarning('WORK_MEM_REFUSED', {
  message: (e: { workMem: string; problem: string }) =>
    `the server does not take logical_decoding_work_mem = ${e.workMem}: ${e.problem}`,
  hint: 'The stream goes on with what the server has. logicalDecodingWorkMem takes a size such as 4MB, from 64kB up.',
})

// ── Long polling ────────────────────────────────────────────────────────────────────────────────────────────────────

export const LOGICAL_UNAVAILABLE = defineWarning('LOGICAL_UNAVAILABLE', {
  message: (e: { obstacle: string }) => `there is no logical replication here, so the tables are polled: ${e.obstacle}`,
  hint: '`tailrace doctor` tells what it takes. No slot holds the place then, only the position (--state), and a run that began with polling stays with it.',
})

export const POLLING_WITHOUT_DELETES = defineWarning('POLLING_WITHOUT_DELETES', {
  message: (_: object) =>
    'long polling sees no deletes and no truncates, of several changes of a row between two polls only the last, and cannot tell inserts from updates: what comes after the snapshot is "create"',
  hint: 'Logical replication (--cdc-mode logical) has them all. See docs/long-polling.md.',
})

export const POLLING_READS_WHOLE_TABLES = defineWarning('POLLING_READS_WHOLE_TABLES', {
  message: (e: { tables: string; inRecovery: boolean }) => `each poll looks at all rows of ${e.tables}`,
  hint: ({ inRecovery }) =>
    inRecovery === true
      ? 'A standby does not say which transactions are open, which a cursor would need: poll the primary for less reading.'
      : 'Where that is too much, name a column that grows with every change and has an index (--cursor table:column).',
})

export const POLLING_READS_AGAIN = defineWarning('POLLING_READS_AGAIN', {
  message: (e: { table: string }) =>
    `table ${e.table} has another key or cursor column than before: all its rows are read again`,
  hint: 'What was read is known by the order in which it was read. Keep the cursor as it was to go on.',
})

// ── While it runs ───────────────────────────────────────────────────────────────────────────────────────────────────

export const PUBLICATIONS_UNSEEN = defineWarning('PUBLICATIONS_UNSEEN', {
  message: (e: { seconds: number; problem: string }) =>
    `the publications could not be looked at for ${e.seconds} s: ${e.problem}`,
  hint: 'Nothing is confirmed to the slot meanwhile, and the server keeps its WAL.',
})

export const HEARTBEAT_DENIED = defineWarning('HEARTBEAT_DENIED', {
  message: (e: { problem: string }) => `no heartbeat can be written: ${e.problem}`,
  hint: 'A slot that stands still holds WAL until somebody else writes. Grant EXECUTE on pg_logical_emit_message(boolean, text, text) to the role; a standby takes none, set heartbeat to never there.',
})

export const COMMIT_NOT_VISIBLE = defineWarning('COMMIT_NOT_VISIBLE', {
  message: (_: object) =>
    'a transaction was streamed that the server does not show yet; unchanged values are read when it does',
  hint: 'It waits for a synchronous standby (synchronous_standby_names), or url leads to a standby that lags behind.',
})

export const TYPE_ALTERED = defineWarning('TYPE_ALTERED', {
  message: (e: { types: string; seconds: number }) =>
    `type ${e.types} was altered; values have its present shape from now on`,
  hint: (e) =>
    `The server does not say at which row: values of the last ${e.seconds} seconds may have the old field names.`,
})

export const TYPE_SHAPE_DIFFERS = defineWarning('TYPE_SHAPE_DIFFERS', {
  message: (e: { type: string }) =>
    `a value of type ${e.type} has another shape than the catalog told; such values are given as strings`,
  hint: 'The type was altered: values written before, and those that come until its present shape is read (now), are affected.',
})

export const TYPE_UNKNOWN = defineWarning('TYPE_UNKNOWN', {
  message: (e: { oids: string }) =>
    `the catalog does not have the types with OID ${e.oids}; their values are given as strings`,
  hint: 'They were dropped while changes made before were still unread. Nothing is lost: the strings are as the server printed them.',
})

interface PartitionFacts {
  /** `partition public.p1`, `partitions public.p1, public.p2`. */
  readonly partitions: string
  readonly table: string
  /** The table is read once more by itself. */
  readonly repairs: boolean
  readonly hasKey: boolean
}

function partitionHint({ table, repairs, hasKey }: PartitionFacts): string {
  if (hasKey === false) return 'The table has no key by which a consumer could be told which rows: delete them there.'
  if (repairs === true) {
    return 'The table is read once more: batches tell of which keys they have all rows, and the rest can be deleted.'
  }
  return `If a consumer is to delete them, too, have ${table} read again (tailrace signal resnapshot, source.resnapshot()): batches tell of which keys they have all rows. onPartitionGone: "resnapshot" does that by itself.`
}

export const CONDITION_GONE = defineWarning('CONDITION_GONE', {
  message: (e: { table: string; where: string; problem: string }) =>
    `the rows of ${e.table} for which ${e.where} cannot be asked for any more (${e.problem}): all its rows are read`,
  hint: 'Nothing is to be done. A column that the condition names was renamed or dropped, or a value of it does not fit.',
})

export const PARTITION_GONE = defineWarning('PARTITION_GONE', {
  message: (e: PartitionFacts) =>
    `${e.partitions} of ${e.table} went, detached or dropped: of their rows no delete is sent`,
  hint: partitionHint,
})

export const PARTITION_TRUNCATED = defineWarning('PARTITION_TRUNCATED', {
  message: (e: PartitionFacts) =>
    `${e.partitions} of ${e.table} went empty by TRUNCATE, and ${e.table} as a whole did not: nothing is sent of that`,
  hint: partitionHint,
})

export const PARTITION_UNNOTICED = defineWarning('PARTITION_UNNOTICED', {
  message: (e: { partitions: string; table: string }) =>
    `the server (before PostgreSQL 15) may go on publishing changes of ${e.partitions} as before, not as those of ${e.table}`,
  hint: (e) =>
    `With CREATE on the database the role can have it look anew. Now restart the run when it has caught up, and have ${e.table} read again (tailrace signal resnapshot).`,
})

export const PARTITIONS_UNSEEN = defineWarning('PARTITIONS_UNSEEN', {
  message: (e: { problem: string }) => `the partitions of captured tables could not be looked at: ${e.problem}`,
  hint: 'It is tried again every few seconds; what happened meanwhile is found then.',
})

// ── At the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const PUBLICATION_LEFT = defineWarning('PUBLICATION_LEFT', {
  message: (e: { publications: string; problem: string }) =>
    `could not drop the publication ${e.publications}: ${e.problem}`,
  hint: 'The next run without a slot drops it.',
})
