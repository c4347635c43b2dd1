import { describe, expect, test } from 'vitest'
import {
  markChange,
  type PublicationState,
  type PublicationStates,
  type PublishedAs,
  publicationChange,
  publicationMark,
  sameStates,
  sameTables,
} from '../../../src/postgres/publicationState.js'
import type { Queryable } from '../../../src/postgres/queryable.js'

const orders: PublishedAs = {
  name: 'public.orders',
  persistence: 'p',
  line: '{7}',
  members: '{7:100:5}',
  schemas: '{}',
}

function states(given: Partial<PublicationState> = {}, table: Partial<PublishedAs> = {}): PublicationStates {
  const one = { ...orders, ...table }
  const digest = JSON.stringify(one)
  const state = { oid: '1', writtenBy: '5', owner: '10', options: '{}', digest, tables: new Map([['7', one]]) }
  return new Map([['p', { ...state, ...given }]])
}

describe('between two looks', () => {
  test.each<[string, Partial<PublicationState>, Partial<PublishedAs>]>([
    ['was dropped', { oid: undefined }, {}],
    ['was dropped and made again', { oid: '2' }, {}],
    ['had its options altered', { options: '{"pubinsert": false}' }, {}],
    ['had its options altered, and altered back', { writtenBy: '6' }, {}],
    ['had public.orders taken out of it', {}, { members: '{}' }],
    ['had public.orders taken out and added again', {}, { members: '{7:101:6}' }],
    ['had the schema of public.orders taken out of it, or the table left it', {}, { schemas: '{9}' }],
    ['stopped sending public.orders, which was made unlogged', {}, { persistence: 'u' }],
    ['sends public.orders as another table, since it was attached or detached', {}, { line: '{7,3}' }],
  ])('%s', (change, given, table) => {
    const now = states(given, table)
    expect(sameStates(states(), now)).toBe(false)
    expect(publicationChange(states(), now)).toBe(`publication p ${change}`)
  })

  test('another owner is no matter, nor a table that was dropped', () => {
    const owned = states({ owner: '11', writtenBy: '6' })
    expect([sameStates(states(), owned), publicationChange(states(), owned)]).toEqual([true, undefined])
    expect(publicationChange(states(), states({ digest: 'other', tables: new Map() }))).toBeUndefined()
  })
})

describe('between two positions', () => {
  const present = (...oids: readonly string[]): Queryable => ({
    query: async <Row extends object>() => oids.map((oid) => ({ oid })) as unknown as Row[],
  })
  const mark = (given: Partial<PublicationState> = {}, table: Partial<PublishedAs> = {}, tables = [7]) =>
    publicationMark(states(given, table), tables)

  test('nothing happened', async () => {
    expect(await markChange(present('1'), mark(), mark())).toBeUndefined()
    expect(sameTables(mark({}, {}, [7, 8]), mark({}, {}, [8, 7]))).toBe(true)
  })

  test.each<[string, string, readonly string[]]>([
    ['a publication was dropped, and may be made again', mark({ oid: '2' }), ['2']],
    ['a publication was altered', mark({ writtenBy: '6' }), ['1']],
    ['another publication was named', mark({ oid: '2' }), ['1', '2']],
    ['a captured table was taken out of a publication, or added', mark({}, { members: '{7:101:6}' }), ['1']],
  ])('%s', async (change, now, oids) => {
    expect(await markChange(present(...oids), mark(), now)).toBe(change)
  })

  test('another choice of tables says so, and nothing of how they are published', async () => {
    const wider = mark({}, { members: '{7:101:6}' }, [7, 8])
    expect(sameTables(mark(), wider)).toBe(false)
    expect(await markChange(present('1'), mark(), wider)).toBeUndefined()
  })
})
