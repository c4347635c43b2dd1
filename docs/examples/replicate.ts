import { PostgresDestination, PostgresSource } from 'tailrace'

await using destination = new PostgresDestination({
  url: process.env.COPY_URL ?? 'postgres://app@localhost/copy',
  source: 'shop', // the checkpoint's name for what is written from
})
await using source = new PostgresSource({
  url: process.env.DATABASE_URL ?? 'postgres://app@localhost/shop',
  tables: ['orders', 'customers'],
  slot: 'shop_copy',
  position: await destination.open(), // undefined the first time: all rows are copied
  positionWithData: true, // it is stored in the transaction of the rows
  until: 'current', // ends when it has caught up; leave it out to go on for ever
})
for await (const batch of source) {
  // The rows and the position in one transaction. False: it stays open for what comes next.
  if (await destination.write(batch)) await batch.ack()
}
