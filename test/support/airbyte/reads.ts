import { expect } from 'vitest'
import type { TestDatabase } from '../database.js'
import { type ConnectorMessages, connectorHere } from './connector.js'

/** Slots are the cluster's: each database has its own. */
export const configOf = (db: TestDatabase, more: object = {}) => ({
  connectionURI: db.url,
  slot_name: `slot_${db.name}`,
  state_type: 'stream',
  ...more,
})

/** Without a process of its own, and without an error. */
export async function read(config: object, catalog: unknown, state?: unknown): Promise<ConnectorMessages> {
  const run = await connectorHere('read', { config, catalog, ...(state !== undefined && { state }) })
  expect({ code: run.code, errors: run.errors }).toEqual({ code: 0, errors: [] })
  return run
}
