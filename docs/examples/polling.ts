import { readFile, rename, writeFile } from 'node:fs/promises'
import { PostgresSource } from 'tailrace'

const FILE = process.env.POSITION_FILE ?? 'orders.position'

await using source = new PostgresSource({
  url: process.env.DATABASE_URL ?? 'postgres://reader@localhost/shop',
  tables: ['orders'],
  cdcMode: 'long_polling', // or 'auto'
  cursors: { orders: 'placed_at' },
  pollIntervalMs: 2000,
  position: await readFile(FILE, 'utf8').catch(() => undefined),
  until: 'current', // ends after one complete poll; leave it out to go on for ever
})
for await (const batch of source) {
  for (const record of batch) console.log(record.operation, record.id)
  await writeFile(`${FILE}.new`, JSON.stringify(batch.position))
  await rename(`${FILE}.new`, FILE)
  await batch.ack()
}
