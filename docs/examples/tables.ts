import { isOf, PostgresSource } from 'tailrace'

interface Order {
  id: number
  total: string
}

/** What is kept of the orders, by key: with one that is gone, as if its delete had been lost. */
const orders = new Map([[99, '1.00']])
const stop = new AbortController()

await using source = new PostgresSource<{ orders: Order }>({
  url: process.env.DATABASE_URL ?? 'postgres://app@localhost/shop',
  tables: ['orders'],
  slot: 'orders_copy',
  signal: stop.signal,
})

/** Resolves when the rows of the table have been read. */
async function read(table: string) {
  for await (const event of source.events()) {
    if (event.type === 'snapshot-table-finished' && event.table === table) return
  }
}

/** Beside the loop, which has to go on meanwhile. */
async function changeTables() {
  const customersRead = read('public.customers')
  console.log('added', await source.addTables('customers')) // their rows come, then their changes
  await customersRead
  const ordersRead = read('public.orders')
  await source.resnapshot('orders') // their rows once more; { where: 'id > 100' } some of them
  await ordersRead
  console.log('removed', await source.removeTables('customers'))
  stop.abort()
}

const changing = changeTables()
for await (const batch of source) {
  const { range } = batch
  if (range?.again && range.name === 'orders') {
    // Behind `after`, up to `upTo`, there are the rows of this batch and no others.
    const after = Number(range.after?.[0] ?? Number.NEGATIVE_INFINITY)
    const upTo = Number(range.upTo?.[0] ?? Number.POSITIVE_INFINITY)
    for (const id of orders.keys()) if (id > after && id <= upTo) orders.delete(id)
  }
  for (const record of batch) {
    console.log(record.operation, record.id)
    if (!isOf(record, 'orders')) continue
    if (record.operation === 'delete') orders.delete(record.key!.id!)
    else orders.set(record.key!.id!, record.after.text('total')!)
  }
  await batch.ack()
}
await changing
console.log(orders)
