// A thread of scan.mjs, so that it never keeps the reader from its clock: changes at an even pace until it is told to end.
import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import pg from 'pg'
import { insertSql } from './dataset.mjs'
import { mark, now } from './marks.mjs'

const { url, other, scanned, rows, perSecond, changesScanned, sent, shared } = workerData
/** Of `shared`: whether to end, and then how many commits there were. */
const [ENDING, COUNT] = [0, 1]

/** One-row transactions of the other table, each with a mark. */
async function writeOther(client, number) {
  await client.query(`BEGIN; ${insertSql(other, number + 1, number + 1, `'Order ${mark(number)} was taken by phone'`)}`)
  sent[number] = now()
  await client.query('COMMIT')
}

/** Of random rows of the scanned table: mostly updates, some deleted, some that are new or come again. */
async function changeScanned(client, number) {
  const id = 1 + Math.floor(Math.random() * rows)
  const choice = number % 10
  if (choice === 0) await client.query(`DELETE FROM ${scanned} WHERE id = ${id}`)
  else if (choice === 1) {
    const fresh = number % 20 === 1 ? id : rows + number
    await client.query(`${insertSql(scanned, fresh, fresh)} ON CONFLICT (id) DO UPDATE SET customer = -${number}`)
  } else await client.query(`UPDATE ${scanned} SET customer = -${number} WHERE id = ${id}`)
}

async function evenly(change, isOver) {
  const client = new pg.Client(url)
  await client.connect()
  const begun = now()
  let number = 0
  for (; !isOver(number); number++) {
    await change(client, number)
    const early = begun + ((number + 1) * 1000) / perSecond - now()
    if (early > 0) await sleep(early)
  }
  await client.end()
  return number
}

let changed = !changesScanned
const ending = () => Atomics.load(shared, ENDING) === 1
const changing = changesScanned
  ? evenly(changeScanned, ending).then((count) => {
      changed = true
      return count
    })
  : 0
// The last commit is behind all changes of the scanned table.
let last = false
const count = await evenly(writeOther, (number) => {
  if (last || number >= sent.length) return true
  last = changed && ending()
  return false
})
await changing
Atomics.store(shared, COUNT, count)
