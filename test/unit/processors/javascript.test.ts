import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { RowBatch } from '../../../src/core/rowBatch.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { batchOf, chainOf, mistakesIn, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

beforeAll(() => loadGrammar())

const orders = tableOf('orders', ['id int4', 'total numeric', 'note text', 'facts jsonb', 'big int8'], {
  identity: 'full',
})
const row = (id: number, note: string | undefined = 'x') => [`${id}`, '1.50', note, '{"a": [1]}', '9007199254740993']

/** `code` in a YAML file, and what it makes of a batch. */
async function processed(code: string, rows: RowBatch, more = '') {
  const { whole, events } = chainOf(`  - {type: javascript, code: ${JSON.stringify(code)}${more}}`)
  try {
    return { records: recordsOf(await whole.process(batchOf(rows))), events }
  } finally {
    await whole.close()
  }
}

test('a function changes rows, adds columns and leaves records out; what it leaves alone keeps every digit', async () => {
  const code = `
    export default (record) => {
      if (record.operation === 'create' && record.after.id === 2) return null
      const { operation, table, after } = record
      after.note = [operation, 'of', table + ':', after.total, typeof after.big].join(' ')
      record.after.double = record.after.id * 2
      record.after.facts.a.push(record.key.id)
      if (record.before) record.before.note = null
    }`
  const { batch } = new BatchBuilder([orders])
    .create(row(1))
    .create(row(2))
    .update(row(3, undefined), row(3, 'before'), 'row')
  const { records } = await processed(code, batch, ', add: {double: int4}')
  expect(records).toHaveLength(2)
  expect(records[0]).toEqual({
    operation: 'create',
    key: { id: 1 },
    after: {
      id: 1,
      total: 1.5,
      note: 'create of orders: 1.50 bigint',
      facts: { a: [1, 1] },
      big: 9007199254740992,
      double: 2,
    },
  })
  expect(records[1]).toMatchObject({
    before: { note: null, double: null },
    after: { note: 'update of orders: 1.50 bigint', double: 6 },
  })
  const untouched = await processed('export default async () => true', new BatchBuilder([orders]).create(row(1)).batch)
  expect(untouched.records).toMatchObject([{ after: { note: 'x', facts: { a: [1] } } }])
})

test('what does not end, and what needs memory without end, is ended, and fails that record alone', async () => {
  const code = `
    export default (record) => {
      if (record.after.id === 2) for (;;);
      if (record.after.id === 3) for (const all = []; ; ) all.push(new Array(1000).fill(record.after.id))
      if (record.after.id === 4) throw new Error('no such customer')
      if (record.after.id === 5) process.exit(3)
      record.after.note = 'done'
    }`
  const builder = new BatchBuilder([orders])
  for (let id = 1; id <= 6; id++) builder.create(row(id))
  const { records, events } = await processed(code, builder.batch, ', on_error: skip, timeout_ms: 300, memory_mb: 32')
  expect(records.map((record) => (record.after as { id: number; note: string }).id)).toEqual([1, 6])
  expect(events.map((event) => ('problem' in event ? event.problem : ''))).toEqual([
    'it took longer than timeout_ms (300) allows',
    expect.stringMatching(/memory_mb \(32\) allows|timeout_ms \(300\)/),
    'no such customer',
    'its thread ended with exit code 3',
  ])
  await expect(processed(code, new BatchBuilder([orders]).create(row(4)).batch)).rejects.toThrow(
    'the processor javascript (processors[0]) failed on a record of public.orders (id 0/1/0): no such customer',
  )
})

test('memory without end alone is told as such', async () => {
  const code = 'export default () => { for (const all = []; ; ) all.push(new Array(1000).fill(1)) }'
  const rows = new BatchBuilder([orders]).create(row(1)).batch
  await expect(processed(code, rows, ', timeout_ms: 60000, memory_mb: 32')).rejects.toThrow('memory_mb (32) allows')
}, 60_000)

test.each([
  ['another key', 'record.after.id = 7', 'it changed "id", which belongs to the key'],
  ['an unknown column', 'record.after.noet = 1', 'it made a column "noet", which is not under "add"'],
  ['a value of another type', "record.after.total = 'much'", 'what it made of "total" is no numeric'],
  ['a value out of range', 'record.after.big = 1e30', 'what it made of "big" is no bigint'],
  ['what cannot be sent', 'record.after.note = () => 1', 'could not be cloned'],
])('%s is refused', async (_, statement, problem) => {
  const code = `export default (record) => { ${statement} }`
  await expect(processed(code, new BatchBuilder([orders]).create(row(1)).batch)).rejects.toThrow(problem)
})

test('a module is read from a file; one that cannot be used says why', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'f.mjs')
  await writeFile(file, "import { sep } from 'node:path'\nexport default ({ after }) => { after.note = sep }\n")
  const rows = new BatchBuilder([orders]).create(row(1)).batch
  const { whole } = chainOf(`  - {type: javascript, file: ${file}}`)
  expect(recordsOf(await whole.process(batchOf(rows)))).toMatchObject([{ after: { note: '/' } }])
  await whole.close()
  await expect(processed('export const other = 1', rows)).rejects.toThrow('its default export is no function')
  await expect(processed('export default (', rows)).rejects.toThrow('the module cannot be used')
  expect(mistakesIn('  - type: javascript')).toEqual(['4:5: processors[0].file: either file or code is expected'])
})

test('processors before and behind it see what it must', async () => {
  const { whole } = chainOf(`
  - {type: drop, columns: [facts]}
  - {type: javascript, code: "export default ({ after }) => { after.note = String('facts' in after) }", if: "true"}
  - {type: mask, redact: [note]}`)
  const rows = new BatchBuilder([orders]).create(row(1)).batch
  expect(recordsOf(await whole.process(batchOf(rows)))).toMatchObject([{ after: { note: '***' } }])
  await whole.close()
})

test('of an update of which "if" cannot be told what it added before stays', async () => {
  const table = tableOf('notes', ['id int4', 'note text'])
  const { batch } = new BatchBuilder([table]).update(['1', undefined]).update(['2', 'short']).update(['3', 'long'])
  const code = 'export default ({ after }) => { after.size = 4 }'
  const { records } = await processed(code, batch, `, add: {size: int4}, if: "note = 'long'"`)
  expect(records).toMatchObject([
    { after: { id: 1 }, unchanged: ['note', 'size'] },
    { after: { id: 2, size: null } },
    { after: { id: 3, size: 4 } },
  ])
})

test('what is no JSON fails its record, and no more', async () => {
  const code = 'export default ({ after }) => { if (after.id === 1) after.facts = { big: 1n } }'
  const { batch } = new BatchBuilder([orders]).create(row(1)).create(row(2))
  const { records, events } = await processed(code, batch, ', on_error: skip')
  expect(records).toHaveLength(1)
  expect(events).toMatchObject([{ problem: expect.stringContaining('what it made of "facts" is no JSON') }])
})
