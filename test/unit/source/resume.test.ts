import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StreamPosition } from '../../../src/source/position.js'
import {
  collect,
  collectAll,
  collectorFrom,
  History,
  happenings,
  idleAt,
  START,
  takeBatch,
} from '../../support/sourceHistory.js'
import type { SourceRecord } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'

function lines(records: readonly SourceRecord[]): object[] {
  return records.map(({ position, ...line }) => line)
}

/** Without schema records: a run that begins here learns the tables' shapes as it goes. */
function changes(records: readonly SourceRecord[]): object[] {
  return lines(records.filter(({ operation }) => operation !== 'schema'))
}

function ids(records: readonly SourceRecord[]): string[] {
  return records.map(({ id }) => id)
}

/** A run from `position`, of which the server was told to begin at `lsn`. */
function resume(history: History, position: StreamPosition, lsn = position.resumeLsn) {
  return collectAll(collectorFrom(position), history.sendFrom(lsn))
}

function wholeRun(history: History) {
  return collectAll(collectorFrom(idleAt(START)), history.sendFrom(START))
}

test('ids are unique and positions strictly increase', { timeout: 30_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (drawn) => {
      const { records } = await wholeRun(new History(drawn))
      requireOrder(records)
    }),
    { numRuns: 100 },
  )
})

test('a run from any record on gives the records behind it, and no other', { timeout: 30_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (drawn) => {
      const history = new History(drawn)
      const { records } = await wholeRun(history)
      for (const [index, record] of records.entries()) {
        const rest = records.slice(index + 1)
        const resumed = await resume(history, StreamPosition.parse(JSON.stringify(record.position)))
        expect(changes(resumed.records)).toEqual(changes(rest))
        expect(ids(rest)).toEqual(expect.arrayContaining(ids(resumed.records)))
        requireOrder([record, ...resumed.records])
      }
    }),
    { numRuns: 60 },
  )
})

test('a run from any batch on gives the records behind it, also when all that may be is confirmed', {
  timeout: 30_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (drawn) => {
      const history = new History(drawn)
      const { records } = await wholeRun(history)
      const collector = collectorFrom(idleAt(START))
      let taken = 0
      for (const sent of history.sendFrom(START)) {
        collect(collector, sent)
        const batch = await takeBatch(collector)
        taken += batch.records.length
        expect(history.ends).toContain(batch.confirmable)
        for (const lsn of [batch.position.resumeLsn, batch.confirmable]) {
          const resumed = await resume(history, batch.position, lsn)
          expect(changes(resumed.records)).toEqual(changes(records.slice(taken)))
        }
      }
    }),
    { numRuns: 50 },
  )
})

test('a connection that is lost at any message changes nothing', { timeout: 30_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(happenings, fc.infiniteStream(fc.boolean()), async (drawn, takes) => {
      const history = new History(drawn)
      const uncut = await wholeRun(history)
      const sent = history.sendFrom(START)
      for (let cut = 0; cut <= sent.length; cut++) {
        const collector = collectorFrom(idleAt(START))
        const taken: SourceRecord[] = []
        for (const one of sent.slice(0, cut)) {
          collect(collector, one)
          if (takes.next().value) taken.push(...(await takeBatch(collector)).records)
        }
        collector.reconnected()
        const rest = await collectAll(collector, history.sendFrom(collector.position.resumeLsn))
        taken.push(...rest.records)
        requireOrder(taken)
        expect(lines(taken)).toEqual(lines(uncut.records))
        expect(rest.position).toEqual(uncut.position)
        expect(rest.confirmable).toBe(uncut.confirmable)
      }
    }),
    { numRuns: 40 },
  )
})
