// A thread of live.mjs: it can wait for less than a timer's millisecond.
import { workerData } from 'node:worker_threads'
import pg from 'pg'
import { insertSql } from '../dataset.mjs'
import { now } from '../marks.mjs'

const { url, first, count, perSecond } = workerData
const idle = new Int32Array(new SharedArrayBuffer(4))

const client = new pg.Client(url)
await client.connect()
const begun = now()
for (let number = first; number <= count; number++) {
  const early = begun + ((number - first) * 1000) / perSecond - now()
  if (early > 0) Atomics.wait(idle, 0, 0, early)
  // Half of them are updates of a row; the mark tells when the transaction committed.
  const id = Math.ceil(number / 2)
  const change =
    number % 2 === 1
      ? insertSql('bench', id, id)
      : `UPDATE bench SET amount = amount + 1 WHERE id = ${Math.max(1, id - 1)}`
  await client.query(`BEGIN; ${change}; INSERT INTO marks VALUES (${number}); COMMIT`)
}
await client.end()
