import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from 'pg'
import { bulkChange, smallChange, truncateSome } from './changes.js'
import type { Mix } from './mixes.js'
import type { Random } from './random.js'

export type Kind = 'tiny' | 'medium' | 'savepoints' | 'held' | 'prepared' | 'rolledBack' | 'truncate' | 'large'

export interface TransactionWish {
  readonly writer: number
  readonly kind: Kind
  /** For a prepared one. */
  readonly gid: string
  readonly random: Random
  readonly mix: Mix
}

/** One transaction, from BEGIN to its end. */
export async function transaction(client: Client, wish: TransactionWish): Promise<void> {
  const { kind } = wish
  await client.query('BEGIN')
  await change(client, wish)
  if (kind === 'rolledBack') await client.query('ROLLBACK')
  else {
    await writeJournal(client, wish)
    if (kind === 'prepared') await commitInTwoPhases(client, wish)
    else await client.query('COMMIT')
  }
}

async function change(client: Client, { kind, random, mix }: TransactionWish): Promise<void> {
  const changes = async (count: number) => {
    for (let i = 0; i < count; i++) await smallChange(client, random, mix.small)
  }
  switch (kind) {
    case 'tiny':
      return changes(random.integer(1, 4))
    case 'medium':
      await changes(2)
      await bulkChange(client, random, random.integer(20, 800))
      return changes(2)
    case 'large':
      await bulkChange(client, random, random.integer(10_000, 14_000))
      return
    case 'savepoints':
      await changes(1)
      await client.query('SAVEPOINT one')
      await changes(2)
      await bulkChange(client, random, random.integer(1, 100))
      await client.query('SAVEPOINT two')
      await changes(1)
      await client.query(random.pick(['ROLLBACK TO one', 'ROLLBACK TO two', 'RELEASE one']))
      return changes(1)
    case 'held':
      // Open while the slot is made and the snapshot read, changed before and after.
      await changes(2)
      await pause(random.integer(200, 1500))
      return changes(2)
    case 'truncate':
      await truncateSome(client, random)
      return changes(3)
    case 'prepared':
      return changes(3)
    case 'rolledBack':
      await changes(2)
      await bulkChange(client, random, 200)
  }
}

async function commitInTwoPhases(client: Client, { gid, random }: TransactionWish): Promise<void> {
  await client.query(`PREPARE TRANSACTION '${gid}'`)
  await pause(random.integer(0, 800))
  await client.query(random.chance(0.8) ? `COMMIT PREPARED '${gid}'` : `ROLLBACK PREPARED '${gid}'`)
}

/** Each transaction leaves a line in the journal, by which a lost one shows; some announce it by a logical message. */
async function writeJournal(client: Client, { writer, kind, random }: TransactionWish): Promise<void> {
  const announced = random.chance(0.3)
  const { rows } = await client.query<{ id: string }>(
    'INSERT INTO journal (writer, kind, announced) VALUES ($1, $2, $3) RETURNING id',
    [writer, kind, announced],
  )
  if (announced) await client.query(`SELECT pg_logical_emit_message(true, 'journal', $1::text)`, [rows[0]!.id])
}
