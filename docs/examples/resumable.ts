import { readFile, rename, writeFile } from 'node:fs/promises'
import { PostgresSource } from 'tailrace'

/** Where the position is kept: next to what you make of the records, best in the same transaction. */
const FILE = process.env.POSITION_FILE ?? 'orders.position'

await using source = new PostgresSource({
  url: process.env.DATABASE_URL ?? 'postgres://app@localhost/shop',
  tables: ['orders'],
  slot: 'orders_copy',
  position: await readFile(FILE, 'utf8').catch(() => undefined), // undefined the first time: a snapshot is taken
  until: 'current', // ends when it has caught up; leave it out to go on for ever
})
for await (const batch of source) {
  for (const record of batch) console.log(record.operation, record.id)
  await writeFile(`${FILE}.new`, JSON.stringify(batch.position))
  await rename(`${FILE}.new`, FILE) // store first …
  await batch.ack() // … confirm after
}
