import { describe, expect, test } from 'vitest'
import { type ChangeCollector, RepeatTransaction } from '../../../src/source/changeCollector.js'
import type { StreamPosition } from '../../../src/source/position.js'
import { collectAll, collectorFrom, idleAt, oidOf, relationOf, START } from '../../support/sourceHistory.js'
import { made } from '../../support/sourceMessages.js'

const LSN = 0x1100n
const END = 0x1130n
const [FIRST, SECOND] = [oidOf(0), oidOf(1)]
const shapes = [made.relation(relationOf(0, 2)), made.relation(relationOf(1, 2))]

const row = (id: number) => [String(id), '7']
const transaction = (...messages: Buffer[]) => [made.begin(LSN), ...messages, made.commit(LSN, END)]
const outside = (lsn: bigint) => made.message(false, lsn, 'kept', 'outside')

function feed(collector: ChangeCollector, ...messages: Buffer[]) {
  return collectAll(
    collector,
    [...shapes, ...messages].map((wal) => ({ wal })),
  )
}

describe('a transaction sent again with other rows than before', () => {
  const rows = [made.insert(FIRST, row(1)), made.insert(FIRST, row(2)), made.insert(FIRST, row(3))]

  /** After the second of three rows. */
  async function middle(): Promise<StreamPosition> {
    const batch = await feed(collectorFrom(idleAt(START)), made.begin(LSN), ...rows.slice(0, 2))
    return batch.position
  }

  const changed: [string, Buffer[]][] = [
    ['a row less before', [rows[1]!, rows[2]!]],
    ['a row more before', [made.insert(SECOND, row(0)), ...rows]],
    ['another kind of change', [rows[0]!, made.update(FIRST, row(2)), rows[2]!]],
    ['another table', [rows[0]!, made.insert(SECOND, row(2)), rows[2]!]],
    ['another length', [rows[0]!, made.insert(FIRST, row(22)), rows[2]!]],
    ['another order', [made.insert(SECOND, row(1)), rows[0]!, rows[2]!]],
    ['fewer than were delivered', [rows[0]!]],
    ['none of them', []],
  ]

  test.each(changed)('%s: stops', async (_, messages) => {
    const collector = collectorFrom(await middle())
    const error = await feed(collector, ...transaction(...messages)).catch((error) => error)
    expect(error).toMatchObject({ code: 'REDELIVERY_CHANGED', details: { lsn: '0/1100', seq: 2 } })
  })

  test.each(changed)('%s: is delivered whole once more, on request', async (_, messages) => {
    const collector = collectorFrom(await middle(), { onRedeliveryChange: 'repeat' })
    const sent = transaction(...messages)
    await expect(feed(collector, ...sent)).rejects.toBeInstanceOf(RepeatTransaction)
    // Whoever runs the stream connects again, from the transaction's beginning.
    collector.reconnected()
    expect(collector.position.resumeLsn).toBe(LSN)
    const batch = await feed(collector, ...sent)
    const ids = messages.map((_, seq) => `0/1100/${seq}`)
    expect(batch.records.map(({ id }) => id)).toEqual(ids)
  })

  test.each<[string, (collector: ChangeCollector) => Promise<unknown>]>([
    [
      'the next one',
      (collector) => feed(collector, made.begin(END), made.insert(FIRST, row(9)), made.commit(END, END + 48n)),
    ],
    ['a keepalive behind it', async (collector) => collector.idle(END)],
    ['a message outside behind it', (collector) => feed(collector, outside(END))],
  ])('it does not come again at all, but %s: stops', async (_, send) => {
    const error = await send(collectorFrom(await middle())).then(
      () => undefined,
      (error) => error,
    )
    expect(error).toMatchObject({ code: 'REDELIVERY_CHANGED', details: { lsn: '0/1100', seq: 2 } })
    await send(collectorFrom(await middle(), { onRedeliveryChange: 'repeat' }))
  })

  test('the same rows again are skipped, and no more', async () => {
    const batch = await feed(collectorFrom(await middle()), ...transaction(...rows))
    expect(batch.records.map(({ id, key }) => [id, key!.c0])).toEqual([['0/1100/2', 3]])
  })
})
