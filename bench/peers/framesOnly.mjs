// Our connection and frame reader, which reads lazily, and nothing behind them: the least that a drain can cost.
import { fromDist } from '../dist.mjs'
import { publication, reached, slot, url } from './lines.mjs'

const { parseConnectionString } = await fromDist('postgres/connectionString.js')
const { formatLsn } = await fromDist('postgres/lsn.js')
const { ReplicationStream } = await fromDist('postgres/replication/stream.js')
const { Session } = await fromDist('postgres/session.js')

const COMMIT = 0x43
const END_LSN = 10 // behind Byte1 'C', Int8 flags, Int64 commit LSN
let walEnd = 0n
let frames = 0

const session = await Session.connect(parseConnectionString(url), { replication: true })
const stream = await ReplicationStream.start(
  session,
  {
    slot,
    startLsn: 0n,
    walSenderTimeoutMs: 60_000,
    pluginOptions: { proto_version: '1', publication_names: publication },
  },
  {
    wal: (bytes, start) => {
      frames++
      if (bytes[start] === COMMIT) walEnd = bytes.readBigUInt64BE(start + END_LSN)
    },
    keepalive: (lsn) => {
      walEnd = lsn
    },
    chunkEnd: () => {
      if (reached(formatLsn(walEnd))) process.exit(frames > 0 ? 0 : 1)
    },
    confirmed: () => 0n,
    tick() {},
  },
)
await stream.ended
