// A host that takes messages from a source without decoding them, in a process of its own: what the plugin sends is measured,
// not what becomes of it. Its wishes are JSON in BENCH_CONDUIT; it prints what it saw.
import { createWriteStream } from 'node:fs'
import { cpuUsage } from 'node:process'
import { Plugin } from './plugin.mjs'
import { framed, message, walk } from './wire.mjs'

/** `acks`: `batch`, all positions of a message in one; `single`, a message for each; `none`. `record`: keep what came. */
const { file, settings, records, acks, record } = JSON.parse(process.env.BENCH_CONDUIT)

const plugin = await Plugin.launch(file)
await plugin.configure('SourcePlugin', settings)
await plugin.call('/connector.v2.SourcePlugin/Open', Buffer.alloc(0))
const began = performance.now()
const kept = record === undefined ? undefined : createWriteStream(record)
let [came, messages, bytes] = [0, 0, 0]
await new Promise((resolve, reject) => {
  const stream = plugin.stream('/connector.v2.SourcePlugin/Run', {
    message: (response) => {
      messages++
      bytes += response.length
      kept?.write(framed(response))
      const positions = []
      walk(response, 0, response.length, (_, start, end) => {
        came++
        if (acks !== 'none') positions.push(positionOf(response, start, end))
      })
      if (acks === 'batch') stream.write(framed(message(...positions)))
      else if (acks === 'single') stream.write(Buffer.concat(positions.map((one) => framed(message(one)))))
      if (came >= records) resolve()
    },
    failed: reject,
  })
})
const seconds = (performance.now() - began) / 1000
await plugin.call('/connector.v2.SourcePlugin/Stop', Buffer.alloc(0))
await plugin.call('/connector.v2.SourcePlugin/Teardown', Buffer.alloc(0))
const { usage } = plugin
await plugin.end()
if (kept !== undefined) await new Promise((resolve) => kept.end(resolve))
if (came !== records) throw new Error(`${came} records came, not ${records}`)
const { user, system } = cpuUsage()
const schemas = [...plugin.schemas].map(([subject, texts]) => [subject, texts.map((one) => one.toString('base64'))])
const counts = { records: came, messages, bytes, seconds }
console.log(JSON.stringify({ ...usage, clientCpu: (user + system) / 1e6, ...counts, schemas }))

/** Of a record: its field 1, as a field of the acks. */
function positionOf(response, start, end) {
  let position
  walk(response, start, end, (field, from, to) => {
    if (field === 1) position = response.subarray(from, to)
  })
  return [1, position]
}
