// pgwire as its readme shows it: one `await` a chunk, one acknowledgement for what came in it.
import { pgconnection } from 'pgwire'
import { addLine, publication, reached, slot, url, writeLines } from './lines.mjs'

const connection = pgconnection({ replication: 'database' }, url)
const stream = connection.logicalReplication({
  slot,
  options: { proto_version: 1, publication_names: publication },
})
for await (const { lastLsn, messages } of stream.pgoutputDecode()) {
  for (const message of messages) if (message.tag === 'insert') addLine(toObject(message.after))
  writeLines()
  stream.ack(lastLsn)
  if (reached(lastLsn)) break
}
await connection.end()

/** Its rows have getters that decode, on their prototype, where JSON.stringify does not look. */
function toObject(tuple) {
  const row = {}
  for (const name in tuple) row[name] = tuple[name]
  return row
}
