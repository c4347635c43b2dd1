import { VERIFY_REPAIR_INEFFECTIVE } from '../core/verifyErrors.js'
import { quoteIdentifier, sqlName } from '../postgres/identifier.js'
import { sqlstateOf } from '../postgres/serverError.js'
import { isWritable, planRepair, type RepairPlan, type RowUpdate } from './repairPlan.js'
import type { RepairCounts } from './report.js'
import { type FoundRow, keyOfId, type RowReader } from './rowReader.js'
import { wantedKeys } from './sideSql.js'

export interface RepairTarget {
  readonly source: RowReader
  readonly target: RowReader
}

/** Rows of one transaction: it holds their locks, and a live copy waits for it. */
const CHUNK_ROWS = 1000
/** The protocol counts parameters in 16 bits. */
const MOST_PARAMETERS = 60_000
const INSERTS_AT_ONCE = 500
const ATTEMPTS = 3
/** Serialization failure, deadlock, and a row that somebody else has inserted meanwhile: looking again may help. */
const PASSING = ['40001', '40P01', '23505']

/** Makes the rows equal, chunk by chunk, each in a transaction of its own, and counts in `counts` what was committed. */
export async function repairRows(sides: RepairTarget, found: readonly FoundRow[], counts: RepairCounts): Promise<void> {
  for (let at = 0; at < found.length; at += CHUNK_ROWS) {
    const chunk = found.slice(at, at + CHUNK_ROWS)
    const plan = await repairWithRetry(sides, chunk)
    counts.inserted += plan.inserts.length
    counts.updated += plan.updates.length
    counts.deleted += plan.deletes.length
    counts.equal += plan.equal
    counts.left += plan.left
  }
}

async function repairWithRetry(sides: RepairTarget, found: readonly FoundRow[]): Promise<RepairPlan> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await repairChunk(sides, found)
    } catch (error) {
      const sqlstate = sqlstateOf((error as Error).cause)
      if (attempt === ATTEMPTS || sqlstate === undefined || !PASSING.includes(sqlstate)) throw error
    }
  }
}

async function repairChunk({ source, target }: RepairTarget, found: readonly FoundRow[]): Promise<RepairPlan> {
  const { side } = target
  const ids = found.map(({ id }) => id)
  await side.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  try {
    // The source after the lock: what is written is what it showed while nobody else could write the row.
    const to = await target.look(ids, { values: true, lock: true })
    const from = await source.look(ids, { values: true })
    source.refuseSeveral(from)
    target.refuseSeveral(to)
    const plan = planRepair(target.pair, found, from, to)
    await deleteRows(target, plan.deletes)
    for (const update of plan.updates) await updateRow(target, update)
    await insertRows(target, plan.inserts)
    await proveEqual(target, plan.wanted)
    await side.query('COMMIT')
    return plan
  } catch (error) {
    await side.query('ROLLBACK').catch(() => {}) // without a connection the server rolls back by itself
    throw error
  }
}

async function deleteRows({ pair, side, sql }: RowReader, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  const keys = ids.map(keyOfId)
  const texts = pair.key.map((_, at) => `w.k${at}`)
  const columns = pair.key.map((_, at) => keys.map((key) => key[at]))
  await side.query(`DELETE FROM ${sql.from} USING ${wantedKeys(columns.length)} WHERE ${sql.matches(texts)}`, columns)
}

async function updateRow({ side, sql }: RowReader, { id, columns }: RowUpdate): Promise<void> {
  // Where only generated columns differ the proof fails, and says so.
  if (columns.length === 0) return
  const key = keyOfId(id)
  // A parameter without a cast has the column's own type, so its input function reads it.
  const set = columns.map(({ column }, at) => `${quoteIdentifier(column.name)} = $${key.length + at + 1}`)
  const texts = key.map((_, at) => `$${at + 1}::pg_catalog.text`)
  const values = columns.map(({ value }) => value)
  await side.query(`UPDATE ${sql.from} SET ${set.join(', ')} WHERE ${sql.matches(texts)}`, [...key, ...values])
}

async function insertRows({ pair, side }: RowReader, rows: RepairPlan['inserts']): Promise<void> {
  const columns = pair.columns.map((column, at) => ({ column, at })).filter(({ column }) => isWritable(column))
  const names = columns.map(({ column }) => quoteIdentifier(column.name)).join(', ')
  const atOnce = Math.max(1, Math.min(INSERTS_AT_ONCE, Math.floor(MOST_PARAMETERS / columns.length)))
  for (let begin = 0; begin < rows.length; begin += atOnce) {
    const some = rows.slice(begin, begin + atOnce)
    const lines = some.map((_, row) => `(${columns.map((_, at) => `$${row * columns.length + at + 1}`).join(', ')})`)
    const values = some.flatMap((row) => columns.map(({ at }) => row.values[at]))
    await side.query(
      `INSERT INTO ${sqlName(pair.target)} (${names}) OVERRIDING SYSTEM VALUE VALUES ${lines.join(', ')}`,
      values,
    )
  }
}

/** Before the commit: the target must show what the source showed, whatever triggers and defaults have done. */
async function proveEqual(target: RowReader, wanted: RepairPlan['wanted']): Promise<void> {
  const shown = await target.look([...wanted.keys()])
  const unlike = [...wanted].filter(([id, state]) => (shown.get(id)?.state ?? '') !== state).map(([id]) => id)
  if (unlike.length === 0) return
  throw VERIFY_REPAIR_INEFFECTIVE({ table: sqlName(target.pair.target), rows: unlike.length, key: unlike[0]! })
}
