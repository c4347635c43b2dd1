import { expect, test } from 'vitest'
import {
  beginRefresh,
  goOnWith,
  parseRefresh,
  refreshToJson,
  withPiece,
} from '../../../../src/homes/airbyte/read/refreshState.js'
import { NO_STATE, readState } from '../../../../src/homes/airbyte/read/savedState.js'
import type { ServerFacts } from '../../../../src/postgres/catalog/server.js'
import { type PagesRead, pagesLeft, stillRead, withPages } from '../../../../src/source/snapshot/pieces.js'

const server = { systemIdentifier: '77', timeline: 2 } as ServerFacts
const sync = { sync: 5, generation: 3 }
const begin = beginRefresh(server, sync)
const piece = (from: number, to: number, read: Partial<PagesRead> = {}) => {
  return {
    table: 1,
    relation: 9,
    read: { file: 'base/1/9', since: 70_000_000_000n, pages: [[from, to]], ...read },
  } as const
}
const state = withPiece(withPiece(begin, piece(0, 10)), piece(20, 30))

test('what was read is the same again behind JSON, and pieces that meet are one', () => {
  expect(parseRefresh(JSON.parse(JSON.stringify(refreshToJson(state))))).toEqual(state)
  expect(state.read.get(9)!.pages).toEqual([
    [0, 10],
    [20, 30],
  ])
  expect(withPiece(state, piece(10, 20)).read.get(9)!.pages).toEqual([[0, 30]])
})

test('of a file that is another one, or that is read anew, nothing of before counts', () => {
  for (const other of [{ file: 'base/1/10' }, { since: 80_000_000_000n }]) {
    expect(withPiece(state, piece(3, 4, other)).read.get(9)!.pages).toEqual([[3, 4]])
  }
  const read = state.read.get(9)!
  const now = { file: read.file, oldest: read.since + 5n }
  expect(stillRead(read, now)).toBe(read)
  const anew = [
    stillRead(undefined, now),
    stillRead(read, { ...now, file: 'base/1/10' }),
    stillRead(read, { ...now, oldest: read.since - 1n }),
    stillRead(read, { ...now, oldest: read.since + 2n ** 31n }),
  ]
  for (const one of anew) expect(one.pages).toEqual([])
  expect(anew[3]!.since).toBe(read.since + 2n ** 31n)
})

test('of rows that are in no file of ours, as those of a foreign partition, nothing counts as read', () => {
  const read = withPiece(begin, piece(0, 0, { file: '' })).read.get(9)!
  expect(stillRead(read, { file: '', oldest: read.since + 5n }).pages).toEqual([])
})

test('only a later attempt of the same sync goes on, on the same history', () => {
  const unsaid = beginRefresh(server, { sync: undefined, generation: undefined })
  for (const same of [begin, beginRefresh(server, { ...sync, sync: undefined })]) {
    expect(goOnWith(state, same).read).toBe(state.read)
  }
  const others = [
    beginRefresh(server, { ...sync, generation: 4 }),
    beginRefresh(server, { ...sync, sync: 6 }),
    beginRefresh({ ...server, timeline: 3 } as ServerFacts, sync),
    beginRefresh({ ...server, systemIdentifier: '78' } as ServerFacts, sync),
  ]
  for (const other of others) expect(goOnWith(state, other)).toBe(other)
  // A client that does not say may have come with another sync: its rows would be missing.
  expect(goOnWith(state, unsaid)).toBe(unsaid)
  expect(goOnWith({ ...state, of: unsaid.of }, begin)).toBe(begin)
  expect(goOnWith({ ...state, of: unsaid.of }, unsaid)).toBe(unsaid)
  const generation = { ...state, of: { sync: undefined, generation: 3 } }
  const otherSync = beginRefresh(server, { sync: 5, generation: undefined })
  expect(goOnWith(generation, otherSync)).toBe(otherSync)
  expect(goOnWith(undefined, begin)).toBe(begin)
})

test('what is left of a table: gaps, and what was added since; an empty one is a piece of its own', () => {
  expect(pagesLeft([], 5)).toEqual([[0, 5]])
  expect(pagesLeft([], 0)).toEqual([[0, 0]])
  expect(pagesLeft([[0, 0]], 0)).toEqual([])
  expect(pagesLeft([[2, 4]], 9)).toEqual([
    [0, 2],
    [4, 9],
  ])
  expect(pagesLeft([[0, 9]], 9)).toEqual([])
  expect(pagesLeft([[0, 9]], 4)).toEqual([])
  expect(withPages([[5, 6]], [[0, 5]])).toEqual([[0, 6]])
})

test('a state of a full refresh is no position: whoever wants the changes of the stream begins', () => {
  const descriptor = { name: 't', namespace: 'public' }
  const saved = JSON.parse(JSON.stringify(refreshToJson(state)))
  const states = [
    [{ type: 'STREAM', stream: { stream_descriptor: descriptor, stream_state: saved } }],
    {
      type: 'GLOBAL',
      global: { shared_state: {}, stream_states: [{ stream_descriptor: descriptor, stream_state: saved }] },
    },
    { type: 'LEGACY', data: { version: 1, streams: { 'public.t': saved } } },
  ]
  for (const one of states) {
    expect(readState(one)).toEqual({ ...NO_STATE, refreshes: [{ descriptor, refresh: state }] })
  }
  const damaged = { ...saved, refresh: { ...saved.refresh, relations: [{ oid: 1, file: 'f', since: 'x', pages: [] }] } }
  expect(() => readState({ type: 'STREAM', stream: { stream_descriptor: descriptor, stream_state: damaged } })).toThrow(
    expect.objectContaining({ code: 'AIRBYTE_STATE_INVALID' }),
  )
})
