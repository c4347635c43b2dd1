import { expect, test } from 'vitest'
import { FrameLines, readAck, recordsFrame, singleFrames } from '../../../../src/sinks/websocket/frames.js'
import { ContractBatches } from '../../../../src/testing/contractBatches.js'

const LINES = { format: 'tailrace', origin: { name: 'shop', database: 'shop' } } as const

test('frames have whole records, in order, and no more bytes than they may, but for a record that has more', () => {
  const source = new ContractBatches()
  const { batch } = source.notes(['a', 'b'.repeat(3000), ...Array.from({ length: 200 }, () => 'c'.repeat(100))])
  const expected = Buffer.from(batch.toNdjson()).toString()
  for (const frameBytes of [1, 300, 1024, 100_000]) {
    const cut = [...new FrameLines(LINES, frameBytes, undefined).of(batch, undefined)]
    expect(cut.map(String).join('')).toBe(expected)
    for (const lines of cut) {
      expect(lines.at(-1)).toBe(0x0a)
      const records = lines.toString().split('\n').length - 1
      expect(records === 1 || lines.length <= frameBytes).toBe(true)
      const { type, id, records: read } = JSON.parse(recordsFrame(7, Buffer.from(lines)).toString())
      expect([type, id, read.length]).toEqual(['records', 7, records])
      expect(singleFrames(lines).map((one) => JSON.parse(one.toString()).id)).toEqual(
        read.map((one: { id: string }) => one.id),
      )
    }
  }
})

test('records without a line make no frame', () => {
  const { batch } = new ContractBatches().idle()
  expect([...new FrameLines(LINES, 1024, undefined).of(batch, undefined)]).toEqual([])
})

test.each<[string, boolean, ReturnType<typeof readAck>]>([
  ['{"type":"ack","id":12}', false, { id: 12 }],
  ['{"type":"later","id":12}', false, undefined],
  ['{"type":"ack","id":1.5}', false, 'invalid'],
  ['{"type":"ack"}', false, 'invalid'],
  ['{"id":12}', false, 'invalid'],
  ['[]', false, 'invalid'],
  ['null', false, 'invalid'],
  ['ok', false, 'invalid'],
  ['{"type":"ack","id":12}', true, 'invalid'],
])('a peer’s frame %s (binary: %s)', (text, isBinary, expected) => {
  expect(readAck(Buffer.from(text), isBinary)).toEqual(expected)
})
