import { writeFileSync } from 'node:fs'
import { load, makeTable } from './dataset.mjs'
import { createSlot, currentLsn, settle, startServer, withClient } from './server.mjs'

const server = await startServer(15)
await withClient(server, 'postgres', async (c) => {
  const out = { url: server.url() }
  for (const [t, rows, per] of [
    ['one', 200000, 1],
    ['back', 1000000, 1000],
  ]) {
    await makeTable(c, t)
    await c.query(`CREATE PUBLICATION ${t} FOR TABLE ${t}`)
    await createSlot(c, t)
    await load(c, t, rows, per)
    await settle(c)
    out[t] = await currentLsn(c)
  }
  writeFileSync('/tmp/hold.json', JSON.stringify(out))
})
console.log('ready')
process.on('SIGTERM', async () => {
  await server[Symbol.asyncDispose]()
  process.exit(0)
})
setInterval(() => {}, 1000)
