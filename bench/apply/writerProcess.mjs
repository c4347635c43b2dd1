// The destination by itself, in a process of its own: what a pipeline reads, and joins, is read before. Its wishes are JSON in
// BENCH_APPLY; each message of the bench has it do the next step.
import { once } from 'node:events'
import { cpuUsage } from 'node:process'
import { fromDist } from '../dist.mjs'
import { peakRssOf } from '../machine.mjs'

const { PostgresDestination, PostgresSource } = await fromDist('index.js')
const { Batch } = await fromDist('source/batch.js')

/** As the pipeline's sink has them joined. */
const JOINED_BYTES = 4 * 1024 * 1024

const { source, destination } = JSON.parse(process.env.BENCH_APPLY)

const batches = joined(await read())
process.send({ batches: batches.length })
await once(process, 'message')
const began = performance.now()
const before = cpuUsage()
await write()
const { user, system } = cpuUsage(before)
const wall = (performance.now() - began) / 1000
process.send({ wall, cpu: (user + system) / 1e6, rss: peakRssOf(process.pid) })
process.disconnect()

async function read() {
  const writing = new PostgresDestination(destination)
  const position = await writing.open()
  await writing.close()
  const batches = []
  for await (const batch of new PostgresSource({ ...source, position, until: 'current' }))
    if (batch.length > 0) batches.push(batch)
  return batches
}

function joined(batches) {
  const all = []
  let part = []
  let bytes = 0
  for (const batch of batches) {
    if (part.length > 0 && (bytes >= JOINED_BYTES || !part.at(-1).joins(batch))) {
      all.push(Batch.join(part))
      part = []
      bytes = 0
    }
    part.push(batch)
    bytes += batch.bytes
  }
  return part.length === 0 ? all : [...all, Batch.join(part)]
}

/** Each is told of before its turn, as a pipeline does. */
async function write() {
  const writing = new PostgresDestination(destination)
  await writing.open()
  for (const [index, batch] of batches.entries()) {
    const written = writing.write(batch)
    const next = batches[index + 1]
    if (next !== undefined) writing.prepare(next)
    await written
  }
  await writing.end()
  await writing.close()
}
