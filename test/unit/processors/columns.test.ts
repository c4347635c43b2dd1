import { createHmac } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { HEAD, HEAD_BUFFER, HEAD_NEW, RowBatch } from '../../../src/core/rowBatch.js'
import type { Tape } from '../../../src/core/tape.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import type { Batch } from '../../../src/source/batch.js'
import { batchOf, chainOf, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'

beforeAll(() => loadGrammar())

const KEY = 'a key of the tests'
const customers = tableOf('customers', ['id int4', 'email text', 'phone text', 'notes text'])
const full = tableOf('customers', ['id int4', 'email text', 'phone text', 'notes text'], { identity: 'full' })
const hashOf = (text: string) => createHmac('sha256', KEY).update(text).digest('hex')
const MASK = `  - {type: mask, streams: customers, hash: [email], partial: [phone], "null": [notes], key: ${KEY}}`

const first = (processors: string, batch: RowBatch) => recordsOf(chainOf(processors).chain.process(batchOf(batch)))[0]

test('masked columns are so in new and old rows; NULL stays NULL, and what was not sent is not made', () => {
  const { batch } = new BatchBuilder([full])
    .update(['1', 'b@x', '0301234567', 'n'], ['1', 'a@x', '123', null], 'row')
    .update(['1', null, undefined, undefined], ['1', 'a@x', '💧2345', 'n'], 'row')
  const [changed, cleared] = recordsOf(chainOf(MASK).chain.process(batchOf(batch)))
  expect(changed).toEqual({
    operation: 'update',
    key: { id: 1 },
    before: { id: 1, email: hashOf('a@x'), phone: '***', notes: null },
    after: { id: 1, email: hashOf('b@x'), phone: '******4567', notes: null },
  })
  expect(cleared).toMatchObject({ after: { email: null, phone: '*2345', notes: null } })
  const { batch: partly } = new BatchBuilder([customers]).update(['1', undefined, 'x', undefined])
  expect(first(MASK, partly)).toEqual({
    operation: 'update',
    key: { id: 1 },
    after: { id: 1, phone: '*' },
    unchanged: ['email', 'notes'],
  })
})

test('a masked key is a hash in every part of a record, also in its id; other masks of it are refused', () => {
  const table = tableOf('people', ['ssn text', 'name text'])
  const mask = `  - {type: mask, hash: [ssn], key: ${KEY}}`
  const { batch } = new BatchBuilder([table])
    .update(['222', 'x'], ['111', null])
    .delete(['222', null])
    .snapshot(['3', 'y'])
  const processed = chainOf(mask).chain.process(batchOf(batch))
  const [moved, deleted, read] = recordsOf(processed)
  expect(moved).toMatchObject({ key: { ssn: hashOf('222') }, oldKey: { ssn: hashOf('111') } })
  expect(deleted).toEqual({ operation: 'delete', key: { ssn: hashOf('222') } })
  expect(read).toMatchObject({ key: { ssn: hashOf('3') } })
  expect(processed.at(2)!.id).toBe(`s/public.people/${hashOf('3')}`)
  for (const how of ['redact', 'partial', '"null"']) {
    expect(() => first(`  - {type: mask, ${how}: [ssn]}`, batch)).toThrow('only hash keeps keys apart')
  }
  expect(() => first(`  - {type: mask, hash: [ssn], key: ${KEY}, if: name = 'x'}`, batch)).toThrow('not with "if"')
  // The order of hashes is none of the keys': which rows are gone cannot be told.
  const range = { schema: 'public', name: 'people', key: ['ssn'], after: undefined, upTo: ['3'], again: true }
  expect(chainOf(mask).chain.process(batchOf(batch, { range })).range).toBeUndefined()
  expect(chainOf('  - {type: drop, columns: [name]}').chain.process(batchOf(batch, { range })).range).toBe(range)
})

test('hashes of uuid and bytea are of these types, and a mask that a type cannot bear is refused', () => {
  const table = tableOf('t', ['id int4', 'u uuid', 'y bytea', 'n numeric'])
  const { batch } = new BatchBuilder([table]).create(['1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00', '1.50'])
  const hashed = first(`  - {type: mask, hash: [u, y, n], key: ${KEY}}`, batch) as { after: Record<string, string> }
  expect(hashed.after.u).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(hashed.after.y).toBe(`\\x${hashOf('\\x00')}`)
  expect(hashed.after.n).toBe(hashOf('1.50'))
  expect(() => first('  - {type: mask, redact: [n]}', batch)).toThrow('"n" is numeric, and redact is for texts')
})

test('with "if" rows are masked of which it is true, and where it cannot be told', () => {
  const table = tableOf('t', ['id int4', 'country text', 'name text'], { identity: 'full' })
  const mask = "  - {type: mask, redact: [name], if: country = 'DE'}"
  const { batch } = new BatchBuilder([table])
    .create(['1', 'DE', 'Ann'])
    .create(['2', 'US', 'Bob'])
    .create(['3', null, 'Cem'])
    .update(['4', 'US', 'Dan'], ['4', 'DE', 'Dan'], 'row')
  const names = recordsOf(chainOf(mask).chain.process(batchOf(batch))).map(
    (one) => (one.after as { name: string }).name,
  )
  expect(names).toEqual(['***', 'Bob', 'Cem', '***'])
  const partly = tableOf('t', ['id int4', 'country text', 'name text'])
  const { batch: unsent } = new BatchBuilder([partly]).update(['1', undefined, 'Ann'])
  expect(first(mask, unsent)).toMatchObject({ after: { id: 1, name: '***' } })
})

test('columns that are not touched keep their bytes, and all records keep theirs in the batch that came', () => {
  const { batch } = new BatchBuilder([customers])
    .create(['1', 'a@x', '123', 'long notes'])
    .create(['2', 'b@x', null, 'x'])
  const before = [...batchOf(batch).toNdjson()]
  const { rows } = chainOf('  - {type: mask, redact: [email]}').chain.process(batchOf(batch))
  for (const [index, notes] of ['long notes', 'x'].entries()) {
    const head = index * HEAD
    const pair = rows.heads[head + HEAD_NEW]! + 2 * 3
    const bytes = rows.buffers[rows.heads[head + HEAD_BUFFER]!]!
    const { values } = rows.tape
    expect(Buffer.from(bytes.subarray(values[pair]!, values[pair + 1]!)).toString()).toBe(notes)
  }
  expect([...batchOf(batch).toNdjson()]).toEqual(before)
})

const afterOf = (batch: Batch) => recordsOf(batch).map(({ after }) => after as object)

test('rows that are made anew lie in memory that is used again, whole or in pieces, and others stay where they are', () => {
  const other = tableOf('other', ['id int4', 'email text'])
  const { whole } = chainOf('  - {type: mask, streams: customers, redact: [email]}')
  const rounds = ['n', 'x'.repeat(500), 'y'.repeat(300_000)]
    .flatMap((notes) => [notes, notes])
    .map((notes) => {
      const builder = new BatchBuilder([customers, other])
      for (let id = 0; id < (notes.length > 1000 ? 2 : 200); id++) {
        builder.create([String(id), `${id}@x`, null, `${notes}${id}`]).create([String(id), `${id}@y`], 1)
      }
      const came = batchOf(builder.batch)
      const wanted = afterOf(came).map((row) => ('phone' in row ? { ...row, email: '***' } : row))
      const made = whole.process(came) as Batch
      came.givesWayTo(made)
      expect(afterOf(made)).toEqual(wanted)
      const memory = new Set(made.rows.buffers.filter(({ length }) => length > 30_000).map(({ buffer }) => buffer))
      made.rows.giveUpLines()
      return memory
    })
  // Of small batches what they need; of large ones, and of the batch behind them, the same pieces; a long value is alone.
  expect(rounds.slice(0, 2).map(({ size }) => size)).toEqual([0, 0])
  expect(rounds[2]!.size).toBeGreaterThan(0)
  expect([...rounds[3]!].every((one) => rounds[2]!.has(one))).toBe(true)
  expect([...rounds[5]!].some((one) => rounds[4]!.has(one))).toBe(false)
})

test('rename and drop touch no row: what nobody has looked into stays so', () => {
  const text = Buffer.from('1\ta@x\t5\tn\n')
  const read = (bytes: Uint8Array, _: DataView, start: number, end: number, columns: number, tape: Tape) => {
    tape.reserve(2 * columns)
    for (let p = start, from = start; p < end; p++) {
      if (bytes[p] !== 9 && bytes[p] !== 10) continue
      tape.values[tape.length++] = from
      tape.values[tape.length++] = p
      from = p + 1
    }
  }
  const line = { table: 0, bytes: text, ends: Int32Array.of(text.length), columns: 4, read, onRead: () => {} }
  const lines = () => RowBatch.ofLines([line], [customers], 's', false)
  const columns = '  - {type: rename, columns: {email: mail, id: number}}\n  - {type: drop, columns: [phone, notes]}'
  const { chain } = chainOf(`${columns}\n  - {type: filter, streams: other, where: "true"}`)
  const described = chain.process(batchOf(lines()))
  expect(described.rows.areLines).toBe(true)
  expect(recordsOf(described)).toEqual([
    { operation: 'snapshot', key: { number: 1 }, after: { number: 1, mail: 'a@x' } },
  ])
  const filtered = chainOf('  - {type: filter, where: id = 1}\n').chain.process(batchOf(lines()))
  expect(recordsOf(filtered)).toHaveLength(1)
  const masked = chainOf('  - {type: mask, redact: [email]}\n').chain.process(batchOf(lines()))
  expect(recordsOf(masked)).toMatchObject([{ after: { email: '***', notes: 'n' } }])
  // A shape is described once: else each batch would be of another table to whoever comes after.
  expect(chain.process(batchOf(lines())).rows.tables[0]).toBe(described.rows.tables[0])
})

test('two columns may change their names; a name that is taken, and the key left out, are refused', () => {
  const { batch } = new BatchBuilder([customers]).create(['1', 'a@x', '123', 'n'])
  expect(first('  - {type: rename, columns: {email: phone, phone: email}}', batch)).toMatchObject({
    after: { id: 1, phone: 'a@x', email: '123', notes: 'n' },
  })
  expect(() => first('  - {type: rename, columns: {email: phone}}', batch)).toThrow(
    'two columns would be called "phone"',
  )
  expect(() => first('  - {type: drop, columns: [id]}', batch)).toThrow('"id" belongs to the key')
  expect(() => first('  - {type: drop, columns: [emial]}', batch)).toThrow('no column "emial": did you mean email?')
  const range = { schema: 'public', name: 'customers', key: ['id'], after: undefined, upTo: ['3'], again: true }
  const renamed = chainOf('  - {type: rename, columns: {id: number}}').chain.process(batchOf(batch, { range }))
  expect(renamed.range).toEqual({ ...range, key: ['number'] })
})

test('cast makes what CAST makes, with the type that comes of it; keys only where they stay apart', () => {
  const table = tableOf('t', ['id int4', 'total numeric', 'at timestamptz', 'n text'])
  const row = ['1', '10.555', '2024-07-04 12:00:00+00', '7']
  const { batch } = new BatchBuilder([table]).create(row)
  const cast = '  - {type: cast, columns: {id: text, total: "numeric(10,2)", at: date, n: bigint}}'
  const processed = chainOf(cast).chain.process(batchOf(batch))
  expect(recordsOf(processed)).toEqual([
    { operation: 'create', key: { id: '1' }, after: { id: '1', total: 10.56, at: '2024-07-04', n: 7 } },
  ])
  const types = processed.rows.tables[0]!.columns.map(({ typeName, typmod }) => [typeName, typmod])
  expect(types).toEqual([
    ['text', -1],
    ['numeric(10,2)', (10 << 16) + 2 + 4],
    ['date', -1],
    ['bigint', -1],
  ])
  expect(() => first('  - {type: cast, columns: {id: smallint}}', batch)).toThrow('two keys could become one')
  expect(() => first('  - {type: cast, columns: {total: date}}', batch)).toThrow('numeric cannot be cast to date here')
  const { batch: wrong } = new BatchBuilder([table]).create(['1', '1', row[2]!, 'secret']).create(row)
  const failing = (more: string) => chainOf(`  - {type: cast, columns: {n: int}${more}}`)
  expect(() => failing('').chain.process(batchOf(wrong))).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('secret') }),
  )
  const { chain, events } = failing(', on_error: skip')
  expect(recordsOf(chain.process(batchOf(wrong)))).toMatchObject([{ after: { n: 7 } }])
  expect(events).toMatchObject([{ type: 'processor-skipped', problem: 'invalid input syntax for type integer' }])
})

test('flatten makes columns of a document, digit for digit, and keeps the place of a row without a key', () => {
  const table = tableOf('t', ['address jsonb', 'n int4'], { key: [] })
  const json = '{"city": "Köln", "geo": {"lat": 50.9300000000000000001}, "tags": ["a", {"b": 1}]}'
  const { batch } = new BatchBuilder([table]).snapshot([json, '1', '(0,1)']).snapshot([null, '2', '(0,2)'])
  const processor = '  - {type: flatten, column: address, fields: [city, geo.lat, tags.1, none]}'
  const processed = chainOf(processor).chain.process(batchOf(batch))
  expect(recordsOf(processed).map(({ after }) => after)).toEqual([
    {
      n: 1,
      address_city: 'Köln',
      address_geo_lat: '50.9300000000000000001',
      address_tags_1: '{"b": 1}',
      address_none: null,
    },
    { n: 2, address_city: null, address_geo_lat: null, address_tags_1: null, address_none: null },
  ])
  expect([processed.at(0)!.id, processed.at(1)!.id]).toEqual(['s/public.t/(0,1)', 's/public.t/(0,2)'])
  expect(() => first('  - {type: flatten, column: n, fields: [a]}', batch)).toThrow('flatten is for json and jsonb')
})

test('processors work on what those before them made', () => {
  const { batch } = new BatchBuilder([customers]).create(['1', 'a@x', '123', 'keep']).create(['2', 'b@x', '9', 'out'])
  const { chain, events } = chainOf(`
  - {type: rename, columns: {notes: state}}
  - {type: filter, where: "state = 'keep'"}
  - {type: drop, columns: [state]}
  - {type: mask, redact: [email], text: hidden}
  - {type: cast, columns: {phone: int}}
  - {type: log, if: phone > 100}`)
  expect(recordsOf(chain.process(batchOf(batch)))).toEqual([
    { operation: 'create', key: { id: 1 }, after: { id: 1, email: 'hidden', phone: 123 } },
  ])
  const logged = events.filter((event) => event.type === 'processor-record')
  expect(logged.map(({ record }) => JSON.parse(record).after)).toEqual([{ id: 1, email: 'hidden', phone: 123 }])
})

test('sql chooses rows and columns of one table; what is filtered by need not be selected', () => {
  const { batch } = new BatchBuilder([customers]).create(['1', 'a@x', '123', 'x']).create(['2', 'b@x', '9', 'y'])
  const sql = (query: string) => `  - {type: sql, query: "${query}"}`
  expect(
    recordsOf(chainOf(sql("SELECT id, email FROM stream.customers WHERE notes = 'x'")).chain.process(batchOf(batch))),
  ).toEqual([{ operation: 'create', key: { id: 1 }, after: { id: 1, email: 'a@x' } }])
  expect(
    recordsOf(chainOf(sql('select * from `stream`.`customers` where `id` > 1')).chain.process(batchOf(batch))),
  ).toHaveLength(1)
  const other = batchOf(batch)
  expect(chainOf(sql('select * from sales.customers where id > 1')).chain.process(other)).toBe(other)
  expect(() => first(sql('select email from public.customers'), batch)).toThrow('"id" belongs to the key')
})
