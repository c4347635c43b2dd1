import { SLOT_UNKNOWN } from '../../../core/errors.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { quoteIdentifier } from '../../../postgres/identifier.js'
import { dropPublication } from '../../../postgres/publication.js'
import type { Queryable } from '../../../postgres/queryable.js'
import { Session } from '../../../postgres/session.js'
import { inspectSlot } from '../../../postgres/slot.js'
import { dropNamedSlot } from '../../../postgres/slotDrop.js'
import { madeFor } from '../../../source/publications.js'
import { log } from '../plugin/log.js'
import type { ConduitSourceSettings } from '../settings/sourceSettings.js'

/**
 * Drops what the connector `owner` has made, and nothing else: its publications say so in their comment, which names slot
 * and connector. The slot first, since without the comment nobody would know whose it is. May be done again.
 */
export async function cleanUp(settings: ConduitSourceSettings, owner: string): Promise<void> {
  const slot = settings['logrepl.slotName']
  await using session = await Session.connect(parseConnectionString(settings.url))
  const publications = await madeBy(session, madeFor(slot, owner))
  if (publications.length === 0) {
    if ((await inspectSlot(session, slot)) !== undefined) {
      const sql = `SELECT pg_drop_replication_slot('${slot}')`
      log('warn', `slot ${slot} is left as it is: no publication says that this connector made it. To drop it: ${sql}`)
    }
    return
  }
  await dropNamedSlot(session, slot, { force: true }).catch((error) => {
    if (!SLOT_UNKNOWN.is(error)) throw error
  })
  for (const name of publications) await dropPublication(session, name)
  log('info', `dropped slot ${slot} and publication ${publications.map(quoteIdentifier).join(', ')}`)
}

async function madeBy(queryable: Queryable, comment: string): Promise<readonly string[]> {
  const rows = await queryable.query<{ name: string }>(
    `SELECT p.pubname AS name
       FROM pg_catalog.pg_publication p
      WHERE pg_catalog.obj_description(p.oid, 'pg_publication') = $1
      ORDER BY 1`,
    [comment],
  )
  return rows.map(({ name }) => name)
}
