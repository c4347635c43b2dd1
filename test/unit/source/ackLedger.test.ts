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
  test('what ends behind the limit is held until the limit is past it', () => {
    const ledger = new AckLedger(0x1000n)
    ledger.allow(0x1000n)
    for (const end of [0x1130n, 0x1230n, 0x1330n]) ledger.offer(at({ lsn: end - 0x30n, seq: 0, end }), end)
    ledger.ack(at({ lsn: 0x1200n, seq: 0, end: 0x1230n }))
    expect([ledger.confirmed, ledger.holds]).toEqual([0x1000n, true])
    ledger.allow(0x1229n)
    expect([ledger.confirmed, ledger.holds]).toEqual([0x1000n, true])
    ledger.allow(0x1230n)
    expect([ledger.confirmed, ledger.holds]).toEqual([0x1230n, false])
    ledger.ack(at({ lsn: 0x1300n, seq: 0, end: 0x1330n }))
    ledger.allow(0x1400n)
    expect([ledger.confirmed, ledger.settled, ledger.holds]).toEqual([0x1330n, true, false])
  })

  test('with a mark, so much less is confirmed, and never less than before', () => {
    const ledger = new AckLedger(0x1000n, undefined, 3n)
    ledger.allow(0x1130n)
    for (const end of [0x1002n, 0x1130n, 0x1230n]) ledger.offer(at({ lsn: end, seq: -1, end }), end)
    ledger.ack(at({ lsn: 0x1002n, seq: -1, end: 0x1002n }))
    expect(ledger.confirmed).toBe(0x1000n)
    ledger.ack(at({ lsn: 0x1130n, seq: -1, end: 0x1130n }))
    expect(ledger.confirmed).toBe(0x112dn)
    ledger.ack(at({ lsn: 0x1230n, seq: -1, end: 0x1230n }))
    expect([ledger.confirmed, ledger.holds]).toEqual([0x112dn, true])
    ledger.allow(0x1230n)
    expect(ledger.confirmed).toBe(0x122dn)
  })

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

  test.each([
    [{ system: 'another' }, 'system is another, not '],
    [{ database: 'other' }, 'database is other, not '],
    [{ slot: 'other' }, 'slot is other, not '],
    [{ slot: null }, 'slot is null, not '],
    [{ epoch: 9 }, 'epoch is 9, not '],
  ])('a position of another history (%o) is refused, whatever its LSN', (differs, message) => {
    const ledger = new AckLedger(0x1000n, ORIGIN)
    ledger.offer(at({ lsn: 0x1100n, seq: 4, end: 0x1130n }), 0x1130n)
    const foreign = new StreamPosition({ ...ORIGIN, ...differs }, place({ lsn: 0x1100n, seq: 4, end: 0x1130n }))
    const refused = expect.objectContaining({ code: 'ACK_FOREIGN', message: expect.stringContaining(message) })
    expect(() => ledger.ack(foreign)).toThrow(refused)
    expect(ledger.confirmed).toBe(0x1000n)
  })

  test('a position from before a failover is of the same history', () => {
    const ledger = new AckLedger(0x1000n, { ...ORIGIN, timeline: ORIGIN.timeline + 1 })
    ledger.offer(idleAt(0x1200n), 0x1200n)
    ledger.ack(idleAt(0x1200n))
    expect(ledger.confirmed).toBe(0x1200n)
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

describe('a transaction handed out once more, since its rows are others now', () => {
  const TRANSACTION = { lsn: 0x1200n }
  const END = 0x1230n

  function repeated(rows: number): AckLedger {
    const ledger = new AckLedger(0x1000n)
    ledger.offer(at({ lsn: 0x1100n, seq: 0, end: 0x1130n }), 0x1130n)
    ledger.offer(at({ ...TRANSACTION, seq: 10 }), 0x1130n) // then the connection is lost
    ledger.offer(at({ ...TRANSACTION, seq: rows - 1, end: END }), END)
    return ledger
  }

  test.each([1, 5, 11, 12])(
    'with %d rows: an acknowledgement of the first delivery confirms what is before it',
    (rows) => {
      const ledger = repeated(rows)
      ledger.ack(at({ ...TRANSACTION, seq: 3 }))
      ledger.ack(at({ ...TRANSACTION, seq: 10 }))
      expect(ledger.confirmed).toBe(0x1130n)
      expect(ledger.settled).toBe(false)
    },
  )

  test.each([1, 5, 11, 12])('with %d rows: one of the second confirms it', (rows) => {
    const ledger = repeated(rows)
    expect(ledger.offered).toEqual(at({ ...TRANSACTION, seq: rows - 1, end: END }))
    ledger.ack(ledger.offered!)
    expect(ledger.confirmed).toBe(END)
    expect(ledger.settled).toBe(true)
  })

  test('also when the run resumed in the middle of it', () => {
    const ledger = new AckLedger(0x1130n)
    ledger.resumed(at({ ...TRANSACTION, seq: 10 }))
    ledger.offer(at({ ...TRANSACTION, seq: 4, end: END }), END)
    ledger.ack(at({ ...TRANSACTION, seq: 10 }))
    expect(ledger.confirmed).toBe(0x1130n)
    ledger.ack(at({ ...TRANSACTION, seq: 4, end: END }))
    expect(ledger.confirmed).toBe(END)
    expect(ledger.settled).toBe(true)
  })
})
