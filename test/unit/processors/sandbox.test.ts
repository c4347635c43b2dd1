import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { RowBatch } from '../../../src/core/rowBatch.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { batchOf, chainOf, mistakesIn, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

beforeAll(() => loadGrammar())

const things = tableOf(
  'things',
  ['id int4', 'note text', 'big int8', 'total numeric', 'facts jsonb', 'bytes bytea', 'ok bool'],
  {
    identity: 'full',
  },
)
const row = (id: number) => [`${id}`, 'x', '9007199254740993', '1.50', '{"a": [1, {"b": null}]}', '\\x00ff', 't']
const rows = (count: number) => {
  const builder = new BatchBuilder([things])
  for (let id = 1; id <= count; id++) builder.create(row(id))
  return builder.batch
}

/** What a function makes of a batch, and what was told of records that it failed on. */
async function processed(code: string, batch: RowBatch, settings = ', sandbox: true') {
  const { whole, events } = chainOf(`  - {type: javascript, code: ${JSON.stringify(code)}${settings}}`)
  try {
    const records = recordsOf(await whole.process(batchOf(batch)))
    return { records, problems: events.map((event) => ('problem' in event ? event.problem : '')) }
  } finally {
    await whole.close()
  }
}
const HARD = ', sandbox: true, on_error: skip, timeout_ms: 300, memory_mb: 16'
const idsOf = (records: readonly Record<string, unknown>[]) =>
  records.map((record) => (record.after as { id: number }).id)

test('a function gets and gives the same in the sandbox and without it', async () => {
  const code = `
    export default async (record) => {
      const { operation, schema, table, key, before, after } = record
      if (operation === 'delete') return null
      after.note = JSON.stringify([operation, schema, table, key, typeof after.big, typeof after.total, after.ok, after.bytes.length, before?.note])
      after.big += 1n
      after.bytes = new Uint8Array([...after.bytes, 7])
      after.facts.a.push('more')
      after.ratio = 0 / 0
      after.list = [1, null, 'x']
      after.total = undefined
      if (before) before.note = null
      await Promise.resolve()
    }`
  const { batch } = new BatchBuilder([things]).create(row(1)).update(row(2), row(2), 'row').delete(row(3))
  const add = ', add: {ratio: float8, list: json, none: text}'
  const inside = await processed(code, batch, `, sandbox: true${add}`)
  const { batch: again } = new BatchBuilder([things]).create(row(1)).update(row(2), row(2), 'row').delete(row(3))
  expect(inside).toEqual(await processed(code, again, add))
  expect(inside.records).toHaveLength(2)
  expect(inside.records[1]).toMatchObject({
    before: { note: null, ratio: null },
    after: {
      note: '["update","public","things",{"id":2},"bigint","string",true,2,"x"]',
      total: null,
      facts: { a: [1, { b: null }, 'more'] },
      bytes: '\\x00ff07',
      ratio: 'NaN',
      list: [1, null, 'x'],
      none: null,
    },
  })
})

test('it is given its records in batches, in order, and keeps what it has between them', async () => {
  const code = 'let n = 0\nexport default ({ after }) => { after.note = String(++n) }'
  const { records } = await processed(code, rows(1200))
  expect(idsOf(records)).toEqual(Array.from({ length: 1200 }, (_, i) => i + 1))
  expect(records.map((record) => (record.after as { note: string }).note)).toEqual(
    Array.from({ length: 1200 }, (_, i) => `${i + 1}`),
  )
})

describe('what does not end, or takes too much, fails its record alone', () => {
  const LATE = 'it took longer than timeout_ms (300) allows'
  // On a busy machine time may end before memory does.
  const LARGE = /memory_mb \(16\) allows|timeout_ms \(300\)/
  const cases: readonly (readonly [what: string, statement: string, problem: string | RegExp])[] = [
    ['an endless loop', 'for (;;);', LATE],
    ['one that catches what ends it', 'for (;;) try { for (;;); } catch {} finally { for (;;); }', LATE],
    ['one behind a promise', 'return (async () => { try { await null; for (;;); } catch {} })()', LATE],
    [
      'a promise that makes promises',
      'return new Promise(() => { const again = () => Promise.resolve().then(again); again() })',
      LATE,
    ],
    ['a promise that nobody keeps', 'return new Promise(() => {})', 'it waits for what never comes'],
    ['a regular expression without end', `/^(a+)+$/.test('a'.repeat(60) + 'b')`, LATE],
    [
      'a getter without end, asked by whoever looks at the row',
      'Object.defineProperty(after, "note", { get() { for (;;); } })',
      LATE,
    ],
    ['an error whose text has no end', 'throw { get message() { for (;;); } }', LATE],
    ['memory without end', 'for (const all = []; ; ) all.push(new Uint8Array(1e6))', LARGE],
    ['a buffer', 'after.note = String(new ArrayBuffer(1e9))', LARGE],
    ['a text', 'after.note = "x".repeat(1e9)', /memory_mb|string/],
    ['a stack without end', '(function f() { f() })()', /stack/],
    [
      'a stack that a comparison needs',
      'let deep = []; for (let i = 0; i < 1e5; i++) deep = [deep]; after.facts = deep',
      /stack|nested|circular|memory|timeout_ms/,
    ],
  ]

  test(cases.map(([what]) => what).join('; '), async () => {
    const bodies = cases.map(([, statement], i) => `case ${i + 2}: { ${statement} } break`).join('\n')
    const code = `export default ({ after }) => { switch (after.id) { ${bodies} } }`
    const { records, problems } = await processed(code, rows(cases.length + 2), HARD)
    expect(problems).toEqual(
      cases.map(([, , problem]) => (typeof problem === 'string' ? problem : expect.stringMatching(problem))),
    )
    expect(idsOf(records)).toEqual([1, cases.length + 2])
  }, 60_000)

  test('memory without end alone is told as such', async () => {
    const code = 'export default () => { for (const all = []; ; ) all.push(new Uint8Array(1e6)) }'
    const { problems } = await processed(
      code,
      rows(1),
      ', sandbox: true, on_error: skip, timeout_ms: 60000, memory_mb: 16',
    )
    expect(problems).toEqual(['it needed more memory than memory_mb (16) allows'])
  }, 60_000)

  test('also while its module is read', async () => {
    await expect(processed('for (;;);\nexport default () => {}', rows(1), HARD)).rejects.toThrow(LATE)
    await expect(
      processed('const all = []\nfor (;;) all.push(new Uint8Array(1e6))\nexport default () => {}', rows(1), HARD),
    ).rejects.toThrow(/memory_mb|timeout_ms/)
  })
})

describe('there is nothing but the language', () => {
  test('no names of Node.js, no imports, no way to them by constructors', async () => {
    const code = `
      const names = ['process', 'require', 'module', 'fetch', 'Buffer', 'WebAssembly', 'Worker', 'setTimeout', 'std', 'os', 'navigator', 'Deno']
      export default async ({ after }) => {
        const found = names.filter((name) => typeof globalThis[name] !== 'undefined')
        const tried = [() => this.constructor.constructor('return process')(), () => (async () => {}).constructor('return process')(),
          () => console.log.constructor('return process')(), () => eval('require("node:fs")'), () => new Function('return process.env')()]
        for (const one of tried) try { found.push(String(await one())) } catch (error) { if (!/not defined|not a function|undefined/.test(error.message)) found.push(error.message) }
        for (const name of ['node:fs', 'fs', '/etc/passwd', './thread.js', 'data:text/javascript,export default 1']) {
          try { await import(name); found.push(name) } catch {}
        }
        after.note = found.join()
      }`
    const { records } = await processed(code, rows(1))
    expect(records).toMatchObject([{ after: { note: '' } }])
    await expect(processed("import { readFileSync } from 'node:fs'\nexport default () => {}", rows(1))).rejects.toThrow(
      "the module cannot be used: could not load module 'node:fs'",
    )
  })

  test('what it does to prototypes, to JSON and to its own result stays in there', async () => {
    const hostile = `
      Object.prototype.polluted = 'yes'
      Array.prototype.toJSON = () => 'gone'
      Object.prototype.toJSON = function () { return { drop: true } }
      Array.prototype.push = Array.prototype.map = () => { throw new Error('mine') }
      JSON.parse = JSON.stringify = () => '"mine"'
      Promise.prototype.then = function () { return this }
      String.prototype.slice = () => 'x'`
    const { records, problems } = await processed(
      `${hostile}\nexport default ({ after }) => { after.note = 'done' }`,
      rows(2),
      HARD,
    )
    expect(records.length + problems.length).toBe(2)
    expect(({} as { polluted?: string }).polluted).toBeUndefined()
    expect(JSON.stringify([1])).toBe('[1]')
    const after = await processed("export default ({ after }) => { after.note = 'done' }", rows(2))
    expect(after.records).toMatchObject([{ after: { note: 'done' } }, { after: { note: 'done' } }])
  })

  const refused: readonly (readonly [what: string, statement: string, problem: string])[] = [
    [
      '__proto__',
      'after["__proto__"] = { note: "x" }; Object.defineProperty(after, "__proto__", { value: "x", enumerable: true })',
      'it made a column "__proto__", which is not under "add"',
    ],
    ['constructor', 'after.constructor = "x"', 'it made a column "constructor", which is not under "add"'],
    ['the key', 'after.id = 7', 'it changed "id", which belongs to the key'],
    ['a value of another type', 'after.total = "much"', 'what it made of "total" is no numeric'],
    ['a function', 'after.note = () => 1', 'a function could not be cloned'],
    ['no row', 'return { after: 7 }', 'a row must stay an object'],
    ['a thrown text', 'throw "no such customer"', 'no such customer'],
    [
      'a text beside its shape',
      'return { get before() { return null }, after: new Proxy(after, { ownKeys() { return ["note", "evil"] }, getOwnPropertyDescriptor() { return { enumerable: true, configurable: true } }, get: () => "x" }) }',
      'it made a column "evil", which is not under "add"',
    ],
  ]

  test(`refused: ${refused.map(([what]) => what).join('; ')}`, async () => {
    const bodies = refused.map(([, statement], i) => `case ${i + 1}: { ${statement} } break`).join('\n')
    const code = `export default ({ after }) => { switch (after.id) { ${bodies} } }`
    const { records, problems } = await processed(code, rows(refused.length), HARD)
    expect({ records, problems }).toEqual({ records: [], problems: refused.map(([, , problem]) => problem) })
  })
})

test('columns may be called as parts of prototypes are, inside and outside', async () => {
  const table = tableOf('odd', ['id int4', '__proto__ text', 'constructor text', 'hasOwnProperty jsonb'])
  const code = `export default ({ after }) => {
    Object.defineProperty(after, '__proto__', { value: after.constructor + Object.keys(after).join(), enumerable: true })
    after.constructor = 'c'
  }`
  for (const settings of ['', ', sandbox: true']) {
    const { batch } = new BatchBuilder([table]).create(['1', 'p', 'q', '{"__proto__": {"x": 1}}'])
    const { records } = await processed(code, batch, settings)
    const after = (records[0] as { after: object }).after
    expect(Object.entries(after)).toEqual([
      ['id', 1],
      ['__proto__', 'qid,__proto__,constructor,hasOwnProperty'],
      ['constructor', 'c'],
      ['hasOwnProperty', JSON.parse('{"__proto__": {"x": 1}}')],
    ])
  }
})

test('a module is read from a file; one that cannot be used says why', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'f.mjs')
  await writeFile(
    file,
    "export default ({ after }) => { console.log('seen', after.id, { a: 1n }); after.note = 'from a file' }\n",
  )
  const { whole } = chainOf(`  - {type: javascript, file: ${file}, sandbox: true}`)
  expect(recordsOf(await whole.process(batchOf(rows(1))))).toMatchObject([{ after: { note: 'from a file' } }])
  await whole.close()
  await expect(processed('export const other = 1', rows(1))).rejects.toThrow('its default export is no function')
  await expect(processed('export default (', rows(1))).rejects.toThrow('the module cannot be used')
  expect(mistakesIn('  - {type: javascript, sandbox: true}')).toEqual([
    '4:5: processors[0].file: either file or code is expected',
  ])
})
