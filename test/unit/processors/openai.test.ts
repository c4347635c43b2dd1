import { beforeAll, describe, expect, test } from 'vitest'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { batchOf, chainOf, mistakesIn, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'
import { type ReceivedRequest, type Script, scriptedServer } from '../../support/scriptedServer.js'

beforeAll(() => loadGrammar())

const KEY = 'sk-of-the-tests'
const reviews = tableOf('reviews', ['id int4', 'review text'])

const bodyOf = ({ body }: ReceivedRequest) =>
  JSON.parse(body) as { messages: { role: string; content: string }[]; response_format?: object } & Record<
    string,
    unknown
  >
const askedOf = (request: ReceivedRequest) => bodyOf(request).messages[1]!.content
const answer = (content: unknown) =>
  JSON.stringify({ choices: [{ message: { role: 'assistant', content }, finish_reason: 'stop' }] })
/** A model that says the value in capitals. */
const shouting: Script = (request, response) => response.end(answer(askedOf(request).toUpperCase()))

async function serving(script: Script, settings = '') {
  const server = await scriptedServer(script)
  const { whole, events } = chainOf(
    `  - {type: openai, base_url: "${server.origin}/v1/", api_key: ${KEY}, model: m, prompt: Shout., source_field: review, target_field: loud, retry_first_ms: 1${settings}}`,
  )
  const run = async (...values: (string | null)[]) => {
    const builder = new BatchBuilder([reviews])
    for (const [i, value] of values.entries()) builder.create([`${i}`, value])
    return recordsOf(await whole.process(batchOf(builder.batch))).map(({ after }) => (after as { loud: unknown }).loud)
  }
  const problems = () =>
    events.map((event) => ('problem' in event ? event.problem.replace(server.origin, 'SERVER') : ''))
  return {
    ...{ run, whole, received: server.received, problems },
    async [Symbol.asyncDispose]() {
      await whole.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

test('a value is sent as the user’s message, once for equal ones; NULL and empty texts are not; digits of settings arrive', async () => {
  await using server = await serving(shouting, ', max_tokens: 20, temperature: 0')
  expect(await server.run('good', null, 'bad', 'good', '')).toEqual(['GOOD', null, 'BAD', 'GOOD', null])
  expect(await server.run('bad', 'fine')).toEqual(['BAD', 'FINE'])
  expect(server.received.map(askedOf).sort()).toEqual(['bad', 'fine', 'good'])
  const [first] = server.received
  expect(first).toMatchObject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers: { authorization: `Bearer ${KEY}` },
  })
  expect(bodyOf(first!)).toMatchObject({
    model: 'm',
    max_tokens: 20,
    temperature: 0,
    messages: [{ role: 'system', content: 'Shout.' }, { role: 'user' }],
  })
})

test('an update that left the value as it was keeps its answer, and a delete is not asked about', async () => {
  await using server = await serving(shouting)
  const { batch } = new BatchBuilder([reviews]).update(['1', undefined]).delete(['2', null])
  expect(recordsOf(await server.whole.process(batchOf(batch)))).toEqual([
    { operation: 'update', key: { id: 1 }, after: { id: 1 }, unchanged: ['review', 'loud'] },
    { operation: 'delete', key: { id: 2 } },
  ])
  expect(server.received).toEqual([])
})

describe('several values in one request', () => {
  const several: Script = (request, response) => {
    if (bodyOf(request).response_format === undefined) return shouting(request, response, 0)
    const values = JSON.parse(askedOf(request)) as string[]
    if (values.includes('forbidden')) return response.writeHead(400).end('{"error": {"code": "content_filter"}}')
    const answers = values.map((value) => value.toUpperCase())
    return response.end(answer(JSON.stringify({ answers: values.includes('lost') ? answers.slice(1) : answers })))
  }

  test('are answered in their order, and kept', async () => {
    await using server = await serving(several, ', batch_size: 2, max_tokens: 20')
    expect(await server.run('a', 'b', 'a', 'c')).toEqual(['A', 'B', 'A', 'C'])
    expect(await server.run('c', 'a')).toEqual(['C', 'A'])
    expect(server.received.map((one) => bodyOf(one).max_tokens).sort()).toEqual([20, 40])
  })

  test.each([
    ['an answer is missing', 'lost'],
    ['one of them is refused', 'forbidden'],
  ])('are asked about alone where %s', async (_, value) => {
    await using server = await serving(several, ', batch_size: 3')
    expect(await server.run('a', value, 'b')).toEqual(['A', value.toUpperCase(), 'B'])
    expect(server.received).toHaveLength(4)
  })

  test('are not where the service is down', async () => {
    await using server = await serving(
      (_, response) => response.writeHead(503).end(),
      ', batch_size: 3, retries: 1, on_error: skip',
    )
    expect(await server.run('a', 'b', 'c')).toEqual([])
    expect(server.received).toHaveLength(2)
  })
})

test('too many requests wait as long as the service asks for, all of them', async () => {
  const times: number[] = []
  const script: Script = (request, response, index) => {
    times.push(performance.now())
    if (index === 0) response.writeHead(429, { 'retry-after': '1' }).end()
    else shouting(request, response, index)
  }
  await using server = await serving(script, ', concurrency: 2, limit_per_minute: 3000')
  expect(await server.run('a', 'b', 'c', 'd')).toEqual(['A', 'B', 'C', 'D'])
  expect(times.filter((time) => time > times[0]! + 900).length).toBeGreaterThanOrEqual(3)
})

test('limit_per_minute parts requests', async () => {
  const times: number[] = []
  const script: Script = (request, response, index) => {
    times.push(performance.now())
    shouting(request, response, index)
  }
  await using server = await serving(script, ', concurrency: 8, limit_per_minute: 600')
  await server.run('a', 'b', 'c', 'd')
  expect(times.at(-1)! - times[0]!).toBeGreaterThan(250)
})

test.each<[string, Script, string]>([
  [
    'a wrong key',
    (_, response) =>
      response
        .writeHead(401)
        .end('{"error": {"message": "Incorrect API key provided: sk-of-the-tests", "code": "invalid_api_key"}}'),
    'SERVER answered 401 (invalid_api_key)',
  ],
  ['no text', (_, response) => response.end(answer(null)), 'SERVER answers without a text, or has refused to'],
  ['another protocol', (_, response) => response.end('<html>'), 'SERVER answers without a text, or has refused to'],
  ['a NUL character', (_, response) => response.end(answer('a\0b')), 'SERVER answers with a NUL character'],
])('%s fails the record, and the key is never told', async (_, script, problem) => {
  await using server = await serving(script, ', on_error: skip')
  expect(await server.run('a')).toEqual([])
  expect(server.problems()).toEqual([problem])
})

test('mistakes are told with their places, and without the key', () => {
  const openai = (settings: string) =>
    mistakesIn(`  - {type: openai, model: m, prompt: p, source_field: a, target_field: b${settings}}`).map((one) =>
      one.replace(/^\S+ /, ''),
    )
  expect(openai('')).toEqual([])
  expect(openai(', api_key: "secret\\nx: y"')).toEqual([
    'processors[0].api_key: it has a line break, or another character that headers cannot have',
  ])
  expect(openai(', base_url: "file:///etc/passwd"')).toEqual(['processors[0].base_url: https://host/path is expected'])
  expect(openai(', max_tokens: 5, max_completion_tokens: 5')).toEqual([
    'processors[0].max_tokens: either max_tokens, or max_completion_tokens',
  ])
  expect(openai(', modle: m')).toEqual(['processors[0].modle: there is no such setting. Did you mean model?'])
})
