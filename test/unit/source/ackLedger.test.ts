import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AckLedger } from '../../../src/source/ackLedger.js'
import { comparePlaces, StreamPosition } from '../../../src/source/position.js'
import {
  collect,
  collectorFrom,
  History,
  happenings,
  idleAt,
  ORIGIN,
  place,
  START,
  type TakenBatch,
  takeBatch,
} from '../../support/sourceHistory.js'

const at = (fields: Parameters<typeof place>[0]) => new StreamPosition(ORIGIN, place(fields))

/** Batches that end wherever somebody took what was there. */
async function draw(history: History, takes: Iterator<boolean>): Promise<TakenBatch[]> {
  const collector = collectorFrom(idleAt(START))
  const batches: TakenBatch[] = []
  for (const sent of history.sendFrom(START)) {
    collect(collector, sent)
    if (takes.next().value) batches.push(await takeBatch(collector))
  }
  return [...batches, await takeBatch(collector)]
}

test('whatever is acknowledged: nothing is confirmed that is not, nothing but ends, and never back', async () => {
  const choice = fc.tuple(fc.nat(), fc.nat())
  await fc.assert(
    fc.asyncProperty(happenings, fc.infiniteStream(fc.boolean()), fc.array(choice), async (drawn, takes, acks) => {
      const history = new History(drawn)
      const batches = await draw(history, takes)
      const ledger = new AckLedger(START)
      for (const { position, confirmable } of batches) ledger.offer(position, confirmable)
      let acked = idleAt(START)
      let before = ledger.confirmed
      for (const [one, other] of acks) {
        const { records, position } = batches[one % batches.length]!
        const record = records[other % (records.length + 1)]
        const ack = record === undefined ? position : StreamPosition.parse(record.position)
        ledger.ack(ack)
        if (comparePlaces(ack.place, acked.place) > 0) acked = ack

        expect(history.ends).toContain(ledger.confirmed)
        expect(ledger.confirmed).toBeGreaterThanOrEqual(before)
        expect(ledger.confirmed).toBeLessThanOrEqual(acked.resumeLsn)
        // Of a batch's end exactly what may be.
        const whole = batches.filter(({ position }) => comparePlaces(position.place, acked.place) <= 0)
        if (record === undefined && acked === ack) expect(ledger.confirmed).toBe(whole.at(-1)?.confirmable ?? START)
        before = ledger.confirmed
      }
      ledger.ack(batches.at(-1)!.position)
      expect(ledger.confirmed).toBe(batches.at(-1)!.confirmable)
      expect(ledger.settled).toBe(true)
    }),
    { numRuns: 150 },
  )
})

describe('the rules', () => {
  test('a commit is confirmed by its end, not by where its record begins, and not by one more', () => {
    const ledger = new AckLedger(0x1000n)
    ledger.offer(at({ lsn: 0x1100n, seq: 4, end: 0x1130n }), 0x1130n)
    expect(ledger.confirmed).toBe(0x1000n)
    ledger.ack(at({ lsn: 0x1100n, seq: 4, end: 0x1130n }))
    expect(ledger.confirmed).toBe(0x1130n)
  })

  test('a record in the middle of a transaction confirms those before, and nothing of its own', () => {
    const ledger = new AckLedger(0x1000n)
    ledger.offer(at({ lsn: 0x1100n, seq: 4, end: 0x1130n }), 0x1130n)
    ledger.offer(at({ lsn: 0x1200n, seq: 1 }), 0x1130n)
    ledger.offer(at({ lsn: 0x1200n, seq: 2, end: 0x1230n }), 0x1230n)
    ledger.ack(at({ lsn: 0x1200n, seq: 1 }))
    expect(ledger.confirmed).toBe(0x1130n)
    ledger.ack(at({ lsn: 0x1200n, seq: 2 })) // the last row, its transaction's end unknown
    expect(ledger.confirmed).toBe(0x1130n)
    expect(ledger.settled).toBe(false)
    ledger.ack(at({ lsn: 0x1200n, seq: 2, end: 0x1230n }))
    expect(ledger.confirmed).toBe(0x1230n)
    expect(ledger.settled).toBe(true)
  })

  test('an idle advance counts only with everything before it', () => {
    const ledger = new AckLedger(0x1000n)
    ledger.offer(at({ lsn: 0x1100n, seq: 0, end: 0x1130n }), 0x1130n)
    ledger.offer(idleAt(0x1300n), 0x1300n)
    expect(ledger.confirmed).toBe(0x1000n)
    ledger.ack(at({ lsn: 0x1100n, seq: 0, end: 0x1130n }))
    expect(ledger.confirmed).toBe(0x1130n)
    ledger.ack(idleAt(0x1300n))
    expect(ledger.confirmed).toBe(0x1300n)
  })

  test('rows of a snapshot confirm nothing', () => {
    const ledger = new AckLedger(0x1000n)
    const rows = (count: number) => at({ lsn: 0x2000n, snapshot: { id: '0/2000', rows: count } })
    ledger.offer(rows(10), 0x1000n)
    ledger.ack(rows(5))
    ledger.ack(rows(10))
    expect(ledger.confirmed).toBe(0x1000n)
    expect(ledger.settled).toBe(true)
  })

  test('what was not handed out cannot be acknowledged', () => {
    const ledger = new AckLedger(0x1000n)
    expect(() => ledger.ack(idleAt(0x1000n))).toThrow(expect.objectContaining({ code: 'ACK_UNKNOWN' }))
    ledger.offer(at({ lsn: 0x1100n, seq: 0 }), 0x1000n)
    expect(() => ledger.ack(at({ lsn: 0x1100n, seq: 1 }))).toThrow(/not handed out/)
    expect(ledger.confirmed).toBe(0x1000n)
  })

  test('the position that a run resumes from is acknowledged already', () => {
    const ledger = new AckLedger(0x1000n)
    ledger.resumed(at({ lsn: 0x1100n, seq: 2 }))
    ledger.ack(at({ lsn: 0x1100n, seq: 2 }))
    ledger.ack(at({ lsn: 0x1100n, seq: 1 }))
    expect(ledger.confirmed).toBe(0x1000n)
  })

  test('a consumer that acknowledges nothing costs no memory, and later confirms the last all the same', () => {
    const ledger = new AckLedger(0n)
    const end = (n: number) => BigInt(n) * 16n
    for (let n = 1; n <= 20_000; n++) ledger.offer(at({ lsn: end(n) - 8n, seq: 0, end: end(n) }), end(n))
    ledger.ack(at({ lsn: end(15_000) - 8n, seq: 0 })) // its record alone
    expect(ledger.confirmed).toBeLessThan(end(15_000))
    expect(ledger.confirmed).toBeGreaterThan(end(14_000))
    ledger.ack(at({ lsn: end(20_000) - 8n, seq: 0, end: end(20_000) }))
    expect(ledger.confirmed).toBe(end(20_000))
    expect(ledger.settled).toBe(true)
  })
})
