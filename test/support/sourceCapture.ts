import { expect } from 'vitest'
import type { SourceOptions } from '../../src/source/options.js'
import type { TestDatabase } from './database.js'
import { readSource, type SourceReader, type SourceRecord } from './sourceReader.js'
import { byField, replay, requireOrder, sorted } from './sourceReplay.js'

export type CaptureOptions = Partial<SourceOptions> & { readonly tables: string | readonly string[] }

/**
 * Runs a source over a snapshot and whatever `change` does after it, to its end. It has a temporary slot unless the
 * options name one; a table of its own marks the end.
 */
export async function capture(
  db: TestDatabase,
  options: CaptureOptions,
  change: (reader: SourceReader) => Promise<unknown>,
): Promise<SourceReader> {
  await db.query('CREATE TABLE IF NOT EXISTS capture_marker (n serial PRIMARY KEY)')
  const tables = [options.tables, 'capture_marker'].flat()
  await using reader = readSource({ url: db.url, ...options, tables } as SourceOptions)
  await reader.told('streaming')
  await change(reader)
  const [marker] = await db.query<{ n: number }>('INSERT INTO capture_marker DEFAULT VALUES RETURNING n')
  await reader.seen(({ table, key }) => table === 'capture_marker' && key?.n === marker!.n, 'the marker')
  requireOrder(reader.records)
  return reader
}

/** The table as the server makes JSON of it, in an order that `order` names. */
export async function rowsOf(db: TestDatabase, table: string, order: string): Promise<unknown[]> {
  const rows = await db.query<{ row: unknown }>(`SELECT to_json(t) AS row FROM ${table} t ORDER BY ${order}`)
  return rows.map(({ row }) => row)
}

/** The records come to what the table has, whose key is `id`. */
export async function requireTable(db: TestDatabase, records: readonly SourceRecord[], table: string): Promise<void> {
  const rows = (await rowsOf(db, table, 'id')) as Record<string, unknown>[]
  expect(replay(records, table).sort(byField('id'))).toEqual(rows.map(sorted))
}
