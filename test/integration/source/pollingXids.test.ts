import fc from 'fast-check'
import { expect, test } from 'vitest'
import { unseenSql, widenXmin } from '../../../src/source/polling/seen.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

const XIDS = 2 ** 32

test('the server and we mean the same xids, also where their 32 bits have gone round', async () => {
  await using server = await startServer()
  await using db = await testDatabase(server)
  const wrap = fc.integer({ min: 0, max: 3 }).map((epoch) => epoch * XIDS)
  const near = fc.integer({ min: 3, max: 60 })
  const drawn = fc.record({
    xmax: fc.tuple(wrap, near).map(([epoch, low]) => epoch + XIDS + low),
    behind: fc.integer({ min: 0, max: 120 }),
    age: fc.integer({ min: 1, max: 120 }),
    known: fc.array(fc.integer({ min: 0, max: 120 }), { maxLength: 5 }),
  })
  const cases = fc.sample(drawn, 500).map(({ xmax, behind, age, known }) => {
    const horizon = xmax - behind
    const xids = known.map((one) => horizon + one).filter((xid) => xid < xmax)
    // No row has 0 or 1, and 2 only one that is frozen since long.
    return { xmax, raw: Math.max((xmax - age) % XIDS, 2), seen: { horizon, xids, known: xids.length } }
  })
  const selects = cases.map(({ xmax, raw, seen }, n) => {
    return `SELECT ${n} AS n, ${unseenSql(seen, xmax)} AS unseen FROM (SELECT '${raw}'::xid AS xmin) t`
  })
  const rows = await db.query<{ n: number; unseen: boolean }>(`${selects.join(' UNION ALL ')} ORDER BY 1`)
  const expected = cases.map(({ xmax, raw, seen }) => {
    const xid = widenXmin(raw, xmax)
    return xid > 2 && xid >= seen.horizon && !seen.xids.includes(xid)
  })
  expect(rows.map(({ unseen }) => unseen)).toEqual(expected)
  expect(new Set(expected).size).toBe(2)
})
