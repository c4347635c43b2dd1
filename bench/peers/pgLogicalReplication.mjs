// Acknowledged by its timer: by default it does so for every message, which takes twice as long.
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication'
import { addLine, publication, reached, slot, url, writeLines } from './lines.mjs'

const acknowledge = { auto: false, timeoutSeconds: 10 }
const service = new LogicalReplicationService({ connectionString: url }, { acknowledge })
let scheduled = false

service.on('data', (_lsn, message) => {
  if (message.tag === 'insert') {
    addLine(message.new)
    if (!scheduled) setImmediate(flush) // when the chunk from the socket is used up
    scheduled = true
  } else if (message.tag === 'commit' && reached(message.commitEndLsn)) end()
})
service.on('heartbeat', (lsn, _timestamp, wantsReply) => {
  if (wantsReply) void service.acknowledge(lsn)
  if (reached(lsn)) end()
})
service.on('error', (error) => {
  console.error(error)
  process.exit(1)
})

await service.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }), slot)

function flush() {
  scheduled = false
  writeLines()
}

function end() {
  writeLines()
  process.exit(0)
}
