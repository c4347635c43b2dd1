// A thread of latency.mjs: it can wait for less than a timer's millisecond, and never keeps the reader from its clock.
import { workerData } from 'node:worker_threads'
import pg from 'pg'
import { insertSql } from './dataset.mjs'
import { mark, now } from './marks.mjs'

const { url, table, count, perSecond, sent, replied } = workerData
const idle = new Int32Array(new SharedArrayBuffer(4))

const client = new pg.Client(url)
await client.connect()
await client.query(`TRUNCATE ${table}`)
const begun = now()
for (let number = 0; number < count; number++) {
  const id = number + 1
  await client.query(`BEGIN; ${insertSql(table, id, id, `'Order ${mark(number)} was taken by phone'`)}`)
  const early = begun + (number * 1000) / perSecond - now()
  if (early > 0) Atomics.wait(idle, 0, 0, early)
  sent[number] = now()
  await client.query('COMMIT')
  replied[number] = now()
}
await client.end()
