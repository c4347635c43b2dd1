// A host that sends to a destination what a source once sent, in a process of its own. Its wishes are JSON in BENCH_CONDUIT; it
// prints what it saw.
import { createReadStream } from 'node:fs'
import { cpuUsage } from 'node:process'
import { Plugin } from './plugin.mjs'
import { Frames, framed, message, walk } from './wire.mjs'

/** `schemas`: those that the records name, by subject. `ahead`: messages that may be without their acks. */
const { file, settings, records, recorded, schemas, ahead } = JSON.parse(process.env.BENCH_CONDUIT)

const plugin = await Plugin.launch(file, schemas)
await plugin.configure('DestinationPlugin', settings)
await plugin.call('/connector.v2.DestinationPlugin/Open', Buffer.alloc(0))
const began = performance.now()
let [acked, sent, last] = [0, 0]
const open = []
let answered = () => {}
let failed
const stream = plugin.stream('/connector.v2.DestinationPlugin/Run', {
  message: (response) => {
    walk(response, 0, response.length, (_, start, end) => {
      acked++
      walk(response, start, end, (field, from, to) => {
        if (field === 2) failed ??= new Error(`a record was nacked: ${response.subarray(from, to)}`)
      })
    })
    while (open.length > 0 && acked >= open[0]) open.shift()
    answered()
  },
  failed: (error) => {
    failed ??= error
    answered()
  },
})
const waiting = []
const frames = new Frames((bytes) => waiting.push(bytes))
for await (const chunk of createReadStream(recorded, { highWaterMark: 1 << 20 })) {
  frames.push(chunk)
  for (const bytes of waiting.splice(0)) {
    while (open.length >= ahead && failed === undefined) await nextAnswer()
    if (failed !== undefined) throw failed
    walk(bytes, 0, bytes.length, (_, start, end) => {
      sent++
      last = [start, end]
    })
    open.push(sent)
    stream.write(framed(bytes))
    last = positionIn(bytes, ...last)
  }
}
await plugin.call('/connector.v2.DestinationPlugin/Stop', message([1, last]))
while (acked < sent && failed === undefined) await nextAnswer()
if (failed !== undefined) throw failed
const seconds = (performance.now() - began) / 1000
await plugin.call('/connector.v2.DestinationPlugin/Teardown', Buffer.alloc(0))
const { usage } = plugin
await plugin.end()
if (acked !== records) throw new Error(`${acked} records were acked, not ${records}`)
const { user, system } = cpuUsage()
console.log(JSON.stringify({ ...usage, clientCpu: (user + system) / 1e6, records: acked, seconds }))

function nextAnswer() {
  return new Promise((resolve) => {
    answered = resolve
  })
}

function positionIn(bytes, start, end) {
  let position
  walk(bytes, start, end, (field, from, to) => {
    if (field === 1) position = Buffer.from(bytes.subarray(from, to))
  })
  return position
}
