import { expect, test } from 'vitest'
import type { Queryable } from '../../../src/postgres/queryable.js'
import { SlotWait } from '../../../src/source/slotWait.js'

interface Holder {
  readonly pid: number
  readonly application: string | null
  readonly address: string | null
  readonly replied_at: number | null
}

/** Answers each question with the next of these, and the last one for ever. */
function control(...holders: readonly (Holder | undefined)[]): Queryable {
  let asked = 0
  return {
    async query<Row extends object>() {
      const holder = holders[Math.min(asked++, holders.length - 1)]
      return (holder === undefined ? [] : [holder]) as Row[]
    },
  }
}

const cut: Holder = { pid: 7, application: 'shop', address: '10.0.0.1', replied_at: 5_000 }

test('a reader that says nothing more is waited for, whatever its clock shows', async () => {
  const ahead = { ...cut, replied_at: Date.now() + 3_600_000 }
  for (const silent of [cut, ahead, { ...cut, replied_at: null }]) {
    const wait = new SlotWait(control(silent), 's')
    for (let refused = 0; refused < 3; refused++) expect(await wait.refused(60_000)).toBe(0)
  }
})

test('one that replies lives, and is told with its name', async () => {
  const wait = new SlotWait(control(cut, { ...cut, replied_at: 5_001 }), 's')
  await wait.refused(60_000)
  await expect(wait.refused(60_000)).rejects.toMatchObject({
    code: 'SLOT_ACTIVE',
    details: { slot: 's', pid: 7, application: 'shop', address: '10.0.0.1' },
  })
})

test('another process is looked at anew, and nobody is waited for without limit', async () => {
  const wait = new SlotWait(control(cut, { ...cut, pid: 8, replied_at: 9_000 }, undefined, cut), 's')
  for (let refused = 0; refused < 3; refused++) await wait.refused(60_000)
  await expect(wait.refused(-20_000)).rejects.toMatchObject({ code: 'SLOT_ACTIVE' })
})
