import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { PostgresSource } from 'tailrace'

const file = createWriteStream(process.env.OUTPUT ?? 'shop.ndjson', { flags: 'a' })
await using source = new PostgresSource({
  url: process.env.DATABASE_URL ?? 'postgres://app@localhost/shop',
  tables: '*',
  snapshot: 'only', // the rows, without slot, publication or wal_level
})
for await (const batch of source) {
  // From the server's bytes to JSON: no JavaScript value is made of any column.
  if (!file.write(batch.toNdjson())) await once(file, 'drain')
  await batch.ack()
}
file.end()
await once(file, 'finish')
