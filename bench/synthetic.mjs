/** The bench's table as bytes, without a server: name, type OID and typmod of each column, as a Relation message has them. */
export const COLUMNS = [
  ['id', 20, -1],
  ['customer', 23, -1],
  ['status', 25, -1],
  ['amount', 1700, 786438], // numeric(12, 2)
  ['created', 1184, -1],
  ['note', 25, -1],
  ['active', 16, -1],
  ['score', 701, -1],
]
const RELID = 16385
const CLOCK = 845_000_000_000_000n // microseconds since 2000

/** The texts of row `i` as dataset.mjs makes it; `null` is NULL. */
export function rowTexts(i) {
  const created = new Date(Date.UTC(2026, 0, 1) + i * 1234.567).toISOString()
  const note =
    i % 10 === 0
      ? null
      : i % 10 === 1
        ? `Order no. ${i} is for "the neighbours", who pay on delivery\n`
        : `Order no. ${i} was taken by phone and goes by post on Monday`
  return [
    String(i),
    String((i * 7919) % 100_000),
    ['new', 'paid', 'shipped', 'returned'][i % 4],
    ((i % 100_000) / 7).toFixed(2),
    `${created.slice(0, 10)} ${created.slice(11, 23)}567+00`,
    note,
    i % 3 === 0 ? 't' : 'f',
    String(i / 3),
  ]
}

/** What `COPY … TO STDOUT` sends for a row, without the frame. */
export function copyRow(texts) {
  const columns = texts.map((text) => (text === null ? '\\N' : text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')))
  return Buffer.from(`${columns.join('\t')}\n`)
}

export function relationMessage() {
  const columns = COLUMNS.map(([name, oid, typmod], index) =>
    Buffer.concat([int(index === 0 ? 1 : 0, 1), string(name), int(oid, 4), int(typmod, 4)]),
  )
  const head = [
    Buffer.from('R'),
    int(RELID, 4),
    string('public'),
    string('bench'),
    Buffer.from('d'),
    int(COLUMNS.length, 2),
  ]
  return Buffer.concat([...head, ...columns])
}

export function beginMessage(lsn) {
  return Buffer.concat([Buffer.from('B'), int64(lsn), int64(CLOCK), int(741, 4)])
}

export function commitMessage(lsn) {
  return Buffer.concat([Buffer.from('C'), int(0, 1), int64(lsn), int64(lsn + 48n), int64(CLOCK)])
}

export function insertMessage(texts) {
  const values = texts.flatMap((text) => {
    if (text === null) return [Buffer.from('n')]
    const bytes = Buffer.from(text)
    return [Buffer.from('t'), int(bytes.length, 4), bytes]
  })
  return Buffer.concat([Buffer.from('I'), int(RELID, 4), Buffer.from('N'), int(texts.length, 2), ...values])
}

/** XLogData in CopyData, as the walsender frames each message. */
export function xlogDataFrame(message) {
  const header = [Buffer.from('w'), int64(0n), int64(0n), int64(CLOCK)]
  return frame('d', Buffer.concat([...header, message]))
}

export function frame(tag, payload) {
  return Buffer.concat([Buffer.from(tag), int(payload.length + 4, 4), payload])
}

function int(value, bytes) {
  const buffer = Buffer.alloc(bytes)
  buffer.writeIntBE(value, 0, bytes)
  return buffer
}

function int64(value) {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(value)
  return buffer
}

function string(text) {
  return Buffer.from(`${text}\0`)
}
