import { PostgresSource, TailraceError } from 'tailrace'

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

await using source = new PostgresSource({
  url: process.env.DATABASE_URL ?? 'postgres://app@localhost/shop',
  tables: ['orders'],
  signal: stop.signal, // the loop ends, cleanly
  until: 'current',
})

const events = source.events() // from the call on
void (async () => {
  for await (const event of events) {
    if (event.type === 'snapshot-progress') console.error(`${event.table}: ${event.rows} of ${event.estimatedRows}`)
    if (event.type === 'stream-progress') console.error(`${event.lagBytes} bytes behind`)
    if (event.type === 'reconnecting') console.error(`${event.cause.code}: again in ${event.delayMs} ms`)
    if (event.type === 'warning') console.error(`${event.code}: ${event.message}. ${event.hint}`)
  }
})()

try {
  for await (const batch of source) {
    console.log(`${batch.length} records`)
    await batch.ack()
  }
} catch (error) {
  if (!(error instanceof TailraceError)) throw error
  // `later`: trying again may help; `operator`: somebody must act first, as the hint says.
  console.error(`${error.code} (${error.retry}): ${error.message}. ${error.hint}`)
  process.exitCode = 1
}
