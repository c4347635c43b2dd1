import type { TestDatabase } from './database.js'

/** Of a few rows one that an update does not send again: such a row may have to be read by itself, which takes its time. */
const bigOf = (rows: number) => `CASE WHEN id % ${10 * Math.floor(rows / 600)} = 0 THEN repeat(md5(id::text), 100) END`

/** A table `t` of so many rows, some of them with a value out of line. */
export const tableOf = (rows: number) => `
  CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
  INSERT INTO t SELECT id, 0, ${bigOf(rows)} FROM generate_series(1, ${rows}) id`

/** What happens to rows that were handed over, and to some that were not, while nobody reads: another each `round`. */
export async function changeRows(db: TestDatabase, rows: number, round: number): Promise<void> {
  const away = rows * (round + 2)
  const of = (rest: number) => `id BETWEEN 1 AND ${rows} AND id % 70 = ${7 * round + rest}`
  await db.query(`
    DELETE FROM t WHERE ${of(0)};
    UPDATE t SET n = n + 1 WHERE ${of(1)};
    UPDATE t SET id = id + ${away} WHERE ${of(2)};
    UPDATE t SET id = id - ${away} WHERE ${of(3)};
    UPDATE t SET n = n + 1 WHERE ${of(4)}; DELETE FROM t WHERE ${of(4)};
    DELETE FROM t WHERE ${of(5)}; INSERT INTO t SELECT id, -1, 'again' FROM generate_series(1, ${rows}) id WHERE ${of(5)};
    UPDATE t SET id = -id WHERE ${of(6)}; DELETE FROM t WHERE id < 0 AND -id % 140 = ${7 * round + 6};
    INSERT INTO t SELECT id, 0, ${bigOf(rows)} FROM generate_series(${100 * away + 1}, ${100 * away + 50}) id`)
}

interface Told {
  readonly operation: string
  readonly key?: Readonly<Record<string, unknown>>
  readonly oldKey?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly unchanged?: unknown
}

/** The rows that a consumer has who does with all he ever got as it says; what he never got of one is undefined. */
export function folded(records: readonly Told[]): string[] {
  const rows = new Map<unknown, Readonly<Record<string, unknown>>>()
  for (const record of records) {
    const { operation, key, oldKey, after, unchanged = [] } = record
    if (operation === 'truncate') rows.clear()
    if (key === undefined) continue
    // What comes twice may be of a row that has moved on since.
    const old = rows.get((oldKey ?? key).id) ?? rows.get(key.id)
    if (oldKey !== undefined) rows.delete(oldKey.id)
    if (operation === 'delete') {
      rows.delete(key.id)
      continue
    }
    const kept = Object.fromEntries((unchanged as readonly string[]).map((name) => [name, old?.[name]]))
    rows.set(key.id, { ...kept, ...after })
  }
  return [...rows.values()].map(rowText).sort()
}

/** What is left for a consumer who takes of each change the first that comes; a row that is read is no change. */
export function withoutKnown<T extends { readonly operation: string; readonly id: string }>(
  records: readonly T[],
): T[] {
  const known = new Set<string>()
  return records.filter(({ operation, id }) => {
    if (operation === 'snapshot') return true
    const isKnown = known.has(id)
    known.add(id)
    return !isKnown
  })
}

/** The same of what the table has. */
export async function present(db: TestDatabase): Promise<string[]> {
  return (await db.query<Record<string, unknown>>('SELECT id, n, big FROM t')).map(rowText).sort()
}

function rowText({ id, n, big }: Readonly<Record<string, unknown>>): string {
  return `${id} ${n} ${String(big).length} ${String(big).slice(0, 8)}`
}
