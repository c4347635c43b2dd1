import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Subtransactions } from '../../../../src/source/spool/subtransactions.js'

/** What a session does; a change is made by the innermost savepoint that is open. */
type Act = 'change' | 'savepoint' | 'release' | 'rollback'

interface Savepoint {
  /** Given with the first change in it, or in one below it. */
  xid: number | undefined
  /** Those that were released into it. */
  readonly released: number[]
  /** How many changes there were before it. */
  readonly begun: number
}

/** Plays the acts as a server does, which tells of a rollback all xids that go; gives what is left, by both. */
function play(acts: readonly Act[], top: number): { kept: number[]; wanted: number[] } {
  const subtransactions = new Subtransactions(top)
  const open: Savepoint[] = [{ xid: top, released: [], begun: 0 }]
  let next = top
  let made = 0
  let kept: number[] = []
  let wanted: number[] = []
  for (const act of acts) {
    const inner = open.at(-1)!
    switch (act) {
      case 'change':
        for (const savepoint of open) savepoint.xid ??= next = (next + 1) >>> 0
        subtransactions.note(inner.xid!, kept.length, false)
        kept.push(++made)
        wanted.push(made)
        break
      case 'savepoint':
        open.push({ xid: undefined, released: [], begun: wanted.length })
        break
      case 'release':
        if (open.length === 1) break
        open.pop()
        open.at(-1)!.released.push(...inner.released, ...(inner.xid === undefined ? [] : [inner.xid]))
        break
      case 'rollback':
        if (open.length === 1) break
        open.pop()
        wanted = wanted.slice(0, inner.begun)
        for (const xid of [...inner.released, ...(inner.xid === undefined ? [] : [inner.xid])]) {
          const cut = subtransactions.cut(xid)
          if (cut !== undefined) kept = kept.slice(0, cut.position)
        }
    }
  }
  return { kept, wanted }
}

const act = fc.constantFrom<Act>('change', 'change', 'savepoint', 'release', 'rollback')

test.each([700, 2 ** 32 - 4])('what is rolled back goes, and nothing else (xids from %i)', (top) => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const { kept, wanted } = play(acts, top)
      expect(kept).toEqual(wanted)
    }),
    { numRuns: 2000 },
  )
})
