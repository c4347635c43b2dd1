import { expect, test } from 'vitest'
import { describeTransaction, type RunningTransaction } from '../../../src/postgres/runningTransactions.js'

const nobody: RunningTransaction = {
  xids: ['741'],
  pid: undefined,
  gid: undefined,
  database: undefined,
  user: undefined,
  application: undefined,
  state: undefined,
  seconds: undefined,
  querySeconds: undefined,
}

test.each<[Partial<RunningTransaction>, string]>([
  [
    { pid: 4711, application: 'psql', state: 'idle in transaction', seconds: 42.4 },
    'pid 4711 (psql, idle in transaction, for 42 s)',
  ],
  [{ pid: 4711, seconds: 3601 }, 'pid 4711 (for 60 min)'],
  [{ pid: 4711 }, 'pid 4711'],
  [{ gid: 'invoice-7', seconds: 3 * 86_400 }, "prepared transaction 'invoice-7' (for 72 h)"],
  [{}, 'transaction 741'],
])('%j reads %s', (facts, text) => {
  expect(describeTransaction({ ...nobody, ...facts })).toBe(text)
})
