import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StreamPosition } from '../../../src/source/position.js'
import { collect, collectAll, collectorFrom, happenings, History, idleAt, registry, START, takeBatch } from '../../support/sourceHistory.js'
import type { SourceRecord } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'

/** Of a run that begins here, since it learns the tables' shapes as it goes: the first it meets are no change. */
function withoutPosition({ position, ...line }: SourceRecord): object {
  return line
}

function rows(records: readonly SourceRecord[]): object[] {
  return records.filter(({ operation }) => operation !== 'schema').map(withoutPosition)
}

test('ids are unique and positions strictly increase', async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (drawn) => {
      const { records } = await collectAll(collectorFrom(idleAt(START)), new History(drawn).sendFrom(START))
      requireOrder(records)
    }),
    { numRuns: 500 },
  )
})

test('a run from any record on gives the records behind it, and no other', async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (drawn) => {
      const history = new History(drawn)
      const { records } = await collectAll(collectorFrom(idleAt(START)), history.sendFrom(START))
      for (const [index, record] of records.entries()) {
        const position = StreamPosition.parse(JSON.stringify(record.position))
        const resumed = await collectAll(collectorFrom(position), history.sendFrom(position.resumeLsn))
        expect(rows(resumed.records)).toEqual(rows(records.slice(index + 1)))
        // A shape that this run has not met before is told by the row itself; of the others none is told twice.
        const rest = records.slice(index + 1).map(({ id }) => id)
        expect(rest).toEqual(expect.arrayContaining(resumed.records.map(({ id }) => id)))
        requireOrder([record, ...resumed.records])
      }
    }),
    { numRuns: 300 },
  )
})

test('a connection that is lost at any message changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(happenings, fc.infiniteStream(fc.boolean()), async (drawn, takes) => {
      const history = new History(drawn)
      const uncut = await collectAll(collectorFrom(idleAt(START)), history.sendFrom(START))
      for (let cut = 0; cut <= history.sendFrom(START).length; cut++) {
        const collector = collectorFrom(idleAt(START), { shapes: registry() })
        const taken: SourceRecord[] = []
        for (const sent of history.sendFrom(START).slice(0, cut)) {
          collect(collector, sent)
          if (takes.next().value) taken.push(...(await takeBatch(collector)).records)
        }
        collector.reconnected()
        const rest = await collectAll(collector, history.sendFrom(collector.position.resumeLsn))
        taken.push(...rest.records)
        requireOrder(taken)
        expect(taken.map(withoutPosition)).toEqual(uncut.records.map(withoutPosition))
        expect(rest.position).toEqual(uncut.position)
        expect(rest.confirmable).toBe(uncut.confirmable)
      }
    }),
    { numRuns: 200 },
  )
})

test('a run from any batch on gives the records behind it, and no other', async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (drawn) => {
      const history = new History(drawn)
      const uncut = await collectAll(collectorFrom(idleAt(START)), history.sendFrom(START))
      const collector = collectorFrom(idleAt(START))
      let seen = 0
      for (const sent of history.sendFrom(START)) {
        collect(collector, sent)
        const { records, position, confirmable } = await takeBatch(collector)
        seen += records.length
        // What may be confirmed is no further than the last transaction that is whole, or where all was read.
        const whole = history.ends.filter(({ end }) => end <= confirmable).at(-1)
        expect(confirmable <= position.resumeLsn || position.place.end === undefined).toBe(true)
        if (position.place.end === undefined) expect(confirmable <= position.place.lsn).toBe(true)
        expect(whole?.end ?? START).toBeTypeOf('bigint')
        const resumed = await collectAll(collectorFrom(position), history.sendFrom(position.resumeLsn))
        expect(rows(resumed.records)).toEqual(rows(uncut.records.slice(seen)))
        const confirmed = await collectAll(collectorFrom(position), history.sendFrom(confirmable))
        expect(rows(confirmed.records)).toEqual(rows(resumed.records))
      }
    }),
    { numRuns: 200 },
  )
})
