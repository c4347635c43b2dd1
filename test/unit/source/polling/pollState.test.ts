import { expect, test } from 'vitest'
import { formatPollState, type PollState, parsePollState } from '../../../../src/source/polling/pollState.js'
import { comparePlaces, StreamPosition } from '../../../../src/source/position.js'

const ORIGIN = { system: '7', timeline: 1, database: 'shop', slot: null, epoch: 1 }
const PLACE = { lsn: 1n, seq: -1, sub: 0, end: undefined, fingerprint: 0, snapshot: undefined }

const STATE: PollState = {
  count: 12,
  tables: {
    'public.t': {
      oid: 16384,
      order: 'cursor at timestamp with time zone, id integer',
      parts: [
        { to: ['2026-01-01 00:00:00+00', '5'], seen: { horizon: 753, xids: [755, 760], known: 2 } },
        { to: [null, '7'], seen: undefined },
        { to: undefined, seen: { horizon: 740, xids: [], known: 0 } },
      ],
      floor: undefined,
      top: '2026-01-02 00:00:00+00',
      mark: { to: '2026-01-02 00:00:00+00', waiting: ['3/17', '-1/752'], prepared: ['-1/752'] },
    },
  },
}

test('a position of long polling is read back as it was written', () => {
  const position = new StreamPosition(ORIGIN, { ...PLACE, polling: STATE })
  const text = JSON.stringify(position)
  expect(text).not.toContain('fingerprint')
  expect(StreamPosition.parse(text)).toEqual(position)
  expect(StreamPosition.parse(text).toString()).toBe(text)
})

test('positions are ordered by how much came before them, wherever the WAL was', () => {
  const at = (count: number, lsn: bigint) => ({ ...PLACE, lsn, polling: { ...STATE, count } })
  expect(comparePlaces(at(1, 9n), at(2, 3n))).toBeLessThan(0)
  expect(comparePlaces(at(2, 3n), at(2, 9n))).toBe(0)
})

test('what is damaged is told, not guessed', () => {
  const good = () => JSON.parse(JSON.stringify(formatPollState(STATE)))
  expect(parsePollState(good())).toEqual(STATE)
  const damages: ((state: ReturnType<typeof good>) => void)[] = [
    (state) => delete state.count,
    (state) => delete state.tables,
    (state) => delete state.tables['public.t'].oid,
    (state) => state.tables['public.t'].parts.pop(),
    (state) => delete state.tables['public.t'].parts[0].to,
    (state) => state.tables['public.t'].parts.splice(0),
    (state) => (state.tables['public.t'].parts[0].seen = '753+'),
    (state) => (state.tables['public.t'].parts[0].to = [1]),
    (state) => (state.tables['public.t'].mark.waiting = [3]),
    (state) => (state.tables['public.t'].floor = 3),
  ]
  for (const damage of damages) {
    const state = good()
    damage(state)
    expect(parsePollState(state)).toBeUndefined()
  }
  const broken = { ...new StreamPosition(ORIGIN, PLACE).toJSON(), polling: 7 }
  expect(() => StreamPosition.parse(broken)).toThrow('its "polling" is damaged')
})
