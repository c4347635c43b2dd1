import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import type { RowBatch } from '../../../src/core/rowBatch.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { batchOf, chainOf, mistakesIn, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'
import { type Script, scriptedServer } from '../../support/scriptedServer.js'

beforeAll(() => loadGrammar())

const cities = tableOf('cities', ['id int4', 'name text', 'facts jsonb', 'note text'])
const row = (id: number, name: string | null | undefined = `c${id}`, note: string | null | undefined = 'n') => [
  `${id}`,
  name,
  '{"a": 1.50}',
  note,
]

/** Settings in YAML behind `endpoint`, and what they make of a batch against a server that answers as `script` says. */
async function processed(script: Script, path: string, settings: string, batch: RowBatch) {
  await using server = await scriptedServer(script)
  const quick = settings.includes('retry_first_ms') ? '' : ', retry_first_ms: 1'
  const { whole, events } = chainOf(`  - {type: http, endpoint: "${server.origin}${path}"${settings}${quick}}`)
  try {
    const done = await (async () => whole.process(batchOf(batch)))()
      .then((made) => ({ records: recordsOf(made), error: '' }))
      .catch((error: Error) => ({ records: [], error: error.message.replaceAll(server.origin, 'SERVER') }))
    const problems = events.map((event) =>
      'problem' in event ? event.problem.replaceAll(server.origin, 'SERVER') : '',
    )
    return { ...done, problems, received: server.received }
  } finally {
    await whole.close()
  }
}

const creates = (...rows: ReturnType<typeof row>[]) => {
  const builder = new BatchBuilder([cities])
  for (const one of rows) builder.create(one)
  return builder.batch
}
const afters = (records: readonly Record<string, unknown>[]) =>
  records.map((record) => record.after as Record<string, unknown>)

test('columns of a row stand in address and headers; members of the answer become columns, digit for digit', async () => {
  const { records, received } = await processed(
    ({ url }, response) => response.end(`{"results": [{"name": "of ${url}", "size": 1.50}], "none": null}`),
    '/v1/{name}/at?q={name}&lang=en',
    ', columns: {city: results.0.name, size: results.0.size, none: none, gone: a.b}, headers: {x-id: "n{id}"}, basic_auth_user: u, basic_auth_password: p',
    creates(row(1, 'a/b? c&d=ü'), row(2)),
  )
  expect(afters(records)).toMatchObject([
    {
      id: 1,
      city: 'of /v1/a%2Fb%3F%20c%26d%3D%C3%BC/at?q=a%2Fb%3F%20c%26d%3D%C3%BC&lang=en',
      size: '1.50',
      none: null,
      gone: null,
    },
    { id: 2, city: 'of /v1/c2/at?q=c2&lang=en' },
  ])
  expect(received[0]).toMatchObject({ method: 'GET', body: '' })
  expect(received.map(({ headers }) => headers['x-id']).sort()).toEqual(['n1', 'n2'])
  expect(received[0]!.headers.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`)
})

test.each([
  ['row', '', 'POST', '{"id":1,"name":"c1","facts":{"a": 1.50},"note":"n"}'],
  ['Blink’s row', ', format: blink, method: PUT', 'PUT', '[{"facts":{"a": 1.50},"id":1,"name":"c1","note":"n"}]'],
])('source: * sends the %s; the answer as it is goes into target_field', async (_, settings, method, body) => {
  const { records, received } = await processed(
    (_, response) => response.end('\ufeffthanks'),
    '/',
    `, source: "*", target_field: said${settings}`,
    creates(row(1)),
  )
  expect(received).toMatchObject([{ method, headers: { 'content-type': 'application/json' } }])
  expect(JSON.parse(received[0]!.body)).toEqual(JSON.parse(body))
  expect(received[0]!.body.replaceAll(' ', '')).toBe(body.replaceAll(' ', ''))
  expect(afters(records)).toMatchObject([{ said: 'thanks' }])
})

test('one column is sent as JSON, also by GET, as Blink does; an answer may overwrite a column of text', async () => {
  const { records, received } = await processed(
    ({ body }, response) => response.end(body),
    '/',
    ', source: facts, method: GET, target_field: note',
    creates(row(1)),
  )
  expect(received).toMatchObject([{ method: 'GET', body: '{"a": 1.50}' }])
  expect(afters(records)).toEqual([{ id: 1, name: 'c1', facts: { a: 1.5 }, note: '{"a": 1.50}' }])
})

test('deletes, NULL, rows of others and values that were not sent are not asked about', async () => {
  const { batch } = new BatchBuilder([cities])
    .snapshot(row(1))
    .update(['2', undefined, '{}', 'n'])
    .update(['3', 'c3', '{}', undefined])
    .create(row(4, null))
    .create(row(5, 'left out'))
    .delete(['6', null, null, null])
    .truncate()
  const { records, received } = await processed(
    (_, response) => response.end('x'),
    '/{name}',
    `, target_field: said, if: "name <> 'left out'"`,
    batch,
  )
  expect(received.map(({ url }) => url).sort()).toEqual(['/c1', '/c3'])
  expect(records.map(({ operation }) => operation)).toEqual([
    'snapshot',
    'update',
    'update',
    'create',
    'create',
    'delete',
    'truncate',
  ])
  expect(afters(records).map((after) => after?.said)).toEqual(['x', undefined, 'x', null, null, undefined, undefined])
  // What was asked about it before is still so: nothing is put in its place.
  expect(records[1]).toMatchObject({ unchanged: ['name', 'said'] })
  expect(records[2]).toMatchObject({ unchanged: ['note'] })
})

test('records stay in their order, however late their answers are; so many requests and no more are on their way', async () => {
  let open = 0
  let most = 0
  const { records, received } = await processed(
    ({ url }, response) => {
      most = Math.max(most, ++open)
      setTimeout(
        () => {
          open--
          response.end(url)
        },
        url.endsWith('1') ? 40 : 2,
      )
    },
    '/{name}',
    ', target_field: said, concurrency: 3',
    creates(...Array.from({ length: 12 }, (_, i) => row(i + 1))),
  )
  expect(afters(records).map(({ said }) => said)).toEqual(Array.from({ length: 12 }, (_, i) => `/c${i + 1}`))
  expect(most).toBe(3)
  expect(received).toHaveLength(12)
})

test('equal requests are sent once where answers are kept, over batches, too, and what is kept is bounded', async () => {
  await using server = await scriptedServer(({ url }, response, index) => response.end(`${url} ${index}`))
  const { whole } = chainOf(
    `  - {type: http, endpoint: "${server.origin}/{name}", target_field: said, concurrency: 1, cache_bytes: 500}`,
  )
  const said = async (...names: string[]) =>
    afters(recordsOf(await whole.process(batchOf(creates(...names.map((name, i) => row(i, name)))))))
      .map((after) => after.said)
      .join()
  expect(await said('a', 'a', 'b')).toBe('/a 0,/a 0,/b 1')
  // The third one is one too many: b was not asked for the longest.
  expect(await said('a', 'c', 'b')).toBe('/a 0,/c 2,/b 1')
  expect(await said('c', 'a')).toBe('/c 2,/a 3')
  await whole.close()
})

describe('what fails', () => {
  const SKIP = ', target_field: said, on_error: skip, concurrency: 1'
  const one = creates(row(1))

  test('is tried again where that may help: 5xx, 429 with Retry-After, a cut connection, no answer in time', async () => {
    const started = performance.now()
    const { records, received, error } = await processed(
      (_, response, index) => {
        if (index === 0) response.writeHead(503).end()
        else if (index === 1) response.writeHead(429, { 'retry-after': '1' }).end()
        else if (index === 2) response.socket!.destroy()
        else if (index === 3)
          response.writeHead(200, { 'content-length': 100 }).write('cut', () => response.socket!.destroy())
        else if (index === 4) response.write('never ends')
        else response.end('at last')
      },
      '/',
      ', target_field: said, timeout_ms: 500',
      one,
    )
    expect(error).toBe('')
    expect(afters(records)).toMatchObject([{ said: 'at last' }])
    expect(received).toHaveLength(6)
    expect(performance.now() - started).toBeGreaterThan(1100)
  })

  test.each<[string, Script, string, string, number]>([
    [
      'a refusal',
      (_, response) => response.writeHead(400).end('{"error": {"code": "bad_input", "message": "c1"}}'),
      '',
      'SERVER answered 400 (bad_input)',
      1,
    ],
    [
      'what does not pass',
      (_, response) => response.writeHead(500).end('c1'),
      ', retries: 2',
      'SERVER answered 500 (3 tries)',
      3,
    ],
    [
      'a long wait',
      (_, response) => response.writeHead(429, { 'retry-after': '3600' }).end(),
      ', time_limit_ms: 500',
      'SERVER answered 429, and time_limit_ms (500) ends before the next try',
      1,
    ],
    ['no answer', () => {}, ', timeout_ms: 50, retries: 1', 'SERVER has not answered within 50 ms (2 tries)', 2],
    [
      'a redirection',
      (_, response) => response.writeHead(302, { location: 'https://other.example/secret?c1' }).end(),
      '',
      'SERVER redirects (302) to https://other.example: such an answer is not followed, put the address in place of this one',
      1,
    ],
    [
      'a large answer',
      (_, response) => response.end('x'.repeat(2000)),
      ', max_response_bytes: 1000',
      'SERVER answers with more than max_response_bytes (1000) allows',
      1,
    ],
    [
      'a small answer that unpacks to a large one',
      (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1e7))),
      ', max_response_bytes: 100000',
      'SERVER answers with more than max_response_bytes (100000) allows',
      1,
    ],
    ['no JSON', (_, response) => response.end('{"a": '), ', columns: {a: a}', 'SERVER answers with what is no JSON', 1],
    [
      'a character that no text has',
      (_, response) => response.end('{"a": "\\u0000"}'),
      ', columns: {a: a}',
      'SERVER answers with a NUL character',
      1,
    ],
  ])('%s fails its record, and says so without a value', async (_, script, settings, problem, times) => {
    const { records, problems, received } = await processed(script, '/{name}', SKIP + settings, one)
    expect({ records, problems, times: received.length }).toEqual({ records: [], problems: [problem], times })
  })

  test('with stop nothing more is asked; with skip the others go on', async () => {
    const script: Script = ({ url }, response) => response.writeHead(url === '/c2' ? 422 : 200).end('ok')
    const batch = creates(row(1), row(2), row(3), row(4))
    const stopped = await processed(script, '/{name}', ', target_field: said, concurrency: 1', batch)
    expect(stopped.error).toBe(
      'the processor http (processors[0]) failed on a record of public.cities (id 0/1/0): SERVER answered 422',
    )
    expect(stopped.received.map(({ url }) => url)).toEqual(['/c1', '/c2'])
    const skipped = await processed(script, '/{name}', SKIP, batch)
    expect(afters(skipped.records).map(({ id }) => id)).toEqual([1, 3, 4])
  })

  test('a server that is not there, and a processor that is closed while it waits', async () => {
    const gone = await scriptedServer(() => {})
    await gone[Symbol.asyncDispose]()
    const { whole } = chainOf(`  - {type: http, endpoint: "${gone.origin}/", retries: 1, retry_first_ms: 1}`)
    await expect(whole.process(batchOf(one))).rejects.toThrow(
      `${gone.origin} cannot be reached: ECONNREFUSED (2 tries)`,
    )
    await whole.close()
    await using silent = await scriptedServer(() => {})
    const waiting = chainOf(`  - {type: http, endpoint: "${silent.origin}/"}`).whole
    const processing = Promise.resolve(waiting.process(batchOf(one)))
    const rejected = expect(processing).rejects.toThrow('abort')
    await waiting.close()
    await rejected
  })
})

describe('values cannot do more than be values', () => {
  test.each([
    [
      'a line break in a header',
      row(1, 'a\r\nx-evil: 1'),
      '"name" has a line break, or another character that headers cannot have',
    ],
    [
      'a character that headers do not have',
      row(1, 'Zoë ☃'),
      '"name" has a line break, or another character that headers cannot have',
    ],
    ['a way up the path', row(1, 'ok', '..'), 'a value would lead to another address than endpoint says'],
    ['a way to itself', row(1, 'ok', '.'), 'a value would lead to another address than endpoint says'],
  ])('%s is refused before anything is sent', async (_, hostile, problem) => {
    const { problems, received } = await processed(
      (_, response) => response.end('x'),
      '/of/{note}/all',
      ', headers: {x-name: "{name}"}, on_error: skip',
      creates(hostile),
    )
    expect({ problems, received }).toEqual({ problems: [problem], received: [] })
  })

  test.each([
    ['names of a prototype', row(1, '__proto__', 'constructor'), '/of/constructor/all'],
    ['another host', row(1, 'ok', '//evil.example/@x:y#z'), '/of/%2F%2Fevil.example%2F%40x%3Ay%23z/all'],
    ['dots that are encoded already', row(1, 'ok', '%2e%2e'), '/of/%252e%252e/all'],
  ])('%s stay a value', async (_, value, url) => {
    const { received } = await processed(
      (_, response) => response.end('x'),
      '/of/{note}/all',
      ', headers: {x-name: "{name}"}',
      creates(value),
    )
    expect(received).toMatchObject([{ url, headers: { 'x-name': value[1] } }])
  })
})

test('mistakes in a file are told without the address, a header or a password', () => {
  const mistakes = (settings: string) =>
    mistakesIn(`  - {type: http, ${settings}}`).map((one) => one.replace(/^\S+ /, ''))
  expect(mistakes('target_field: a')).toEqual(['processors[0].endpoint: it is required, and missing'])
  expect(mistakes('endpoint: "ftp://secret"')).toEqual([
    'processors[0].endpoint: it must begin with https:// or http://',
  ])
  expect(mistakes('endpoint: "https://{host}.secret/"')).toEqual([
    'processors[0].endpoint: columns can stand in its path and its query only',
  ])
  expect(mistakes('endpoint: "https://u:p@secret/"')).toEqual([
    expect.stringContaining('a user or a password does not stand in it'),
  ])
  expect(mistakes('endpoint: "https://secret/{a"')).toEqual([
    'processors[0].endpoint: a { is not closed: {{ is a literal one',
  ])
  const headers = (value: string) => mistakes(`endpoint: "https://secret/", headers: ${value}`)
  expect(headers('{x: "secret\\r\\nevil: 1"}')).toEqual([
    'processors[0].headers: the value of x has a line break, or another character that headers cannot have',
  ])
  expect(headers('{"x: y": secret}')).toEqual(['processors[0].headers: "x: y" is no name of a header'])
  expect(headers('{Content-Length: "5"}')).toEqual([
    'processors[0].headers: Content-Length is written by the connection itself',
  ])
  expect(headers('{A: secret, a: secret}')).toEqual(['processors[0].headers: a stands there twice'])
  expect(headers('{authorization: secret}, basic_auth_user: u')).toEqual([
    'processors[0].headers: either authorization, or basic_auth_user',
  ])
})

test('what a table has not, or what cannot be put there, is told before anything is asked', async () => {
  const told = async (settings: string) =>
    (await processed((_, response) => response.end(), '/', settings, creates(row(1)))).error
  expect(await told(', source: nmae')).toContain('it has no column "nmae": did you mean name?')
  expect(await told(', target_field: id')).toContain('"id" belongs to the key')
  expect(await told(', target_field: facts')).toContain('"facts" is jsonb, and what is put there is text')
})
