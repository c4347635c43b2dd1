import { isOf, PostgresSource } from 'tailrace'

interface Order {
  id: number
  total: string // numeric keeps every digit
  placed_at: string
}

interface Customer {
  id: number
  name: string
  picture: Uint8Array
}

await using source = new PostgresSource<{ orders: Order; customers: Customer }>({
  url: process.env.DATABASE_URL ?? 'postgres://app@localhost/shop',
  tables: ['orders', 'customers'],
  until: 'current',
})
for await (const batch of source) {
  for (const record of batch) {
    if (isOf(record, 'orders') && record.operation !== 'delete') {
      console.log(record.key, 'costs', record.after.get('total'))
    } else if (isOf(record, 'customers') && record.operation === 'update') {
      // Too large to be sent again with an update that did not change it: not null, and not there.
      const keep = record.unchanged.includes('picture')
      console.log(record.after.toObject().name, keep ? 'has the picture as before' : 'has a new picture')
    }
  }
  await batch.ack()
}
