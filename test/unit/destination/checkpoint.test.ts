import { expect, test } from 'vitest'
import { Checkpoint } from '../../../src/destination/checkpoint.js'
import type { Queryable } from '../../../src/postgres/queryable.js'

/** A target with one lane, whose checkpoint is at `version`; statements that `fails` is part of are refused. */
function target() {
  const state = { version: '5', fails: undefined as string | undefined }
  const answers: readonly [part: string, rows: () => object[]][] = [
    ['pg_catalog.pg_class', () => [{ name: 'checkpoint' }, { name: 'lane' }]],
    ['ON CONFLICT (source)', () => [{ epoch: '1', version: state.version, position: null }]],
    ['FOR UPDATE', () => [{ epoch: '1', version: state.version }]],
    ['UPDATE tailrace.lane', () => [{ lane: 1, epoch: '1', version: '0', position: null, routing: null }]],
  ]
  const query = async (sql: string) => {
    if (state.fails !== undefined && sql.includes(state.fails)) throw new Error(`refused: ${state.fails}`)
    return answers.find(([part]) => sql.includes(part))?.[1]() ?? []
  }
  return { state, queryable: { query } as unknown as Queryable }
}

test.each(['FOR UPDATE', 'INSERT INTO tailrace.lane', 'UPDATE tailrace.lane', 'COMMIT'])(
  'what lanes have done stays unknown until a look at it was committed: %s fails',
  async (fails) => {
    const { state, queryable } = target()
    const checkpoint = new Checkpoint('tailrace', 'test', 1)
    await checkpoint.claim(queryable, [])
    expect(checkpoint.lanes.isUnsettled).toBe(false)
    checkpoint.lanes.isUnsettled = true
    state.fails = fails
    await expect(checkpoint.settle(queryable)).rejects.toThrow(`refused: ${fails}`)
    expect(checkpoint.lanes.isUnsettled).toBe(true)
    state.fails = undefined
    expect(await checkpoint.settle(queryable)).toBe(true)
    expect(checkpoint.lanes.isUnsettled).toBe(false)
  },
)

test('where the batch was committed after all there is nothing left to know', async () => {
  const { state, queryable } = target()
  const checkpoint = new Checkpoint('tailrace', 'test', 1)
  await checkpoint.claim(queryable, [])
  checkpoint.lanes.isUnsettled = true
  state.version = '6'
  expect(await checkpoint.settle(queryable)).toBe(false)
  expect(checkpoint.lanes.isUnsettled).toBe(false)
  expect(checkpoint.nextVersion).toBe(7n)
})
