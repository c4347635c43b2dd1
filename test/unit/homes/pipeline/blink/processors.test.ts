import { expect, test } from 'vitest'
import { parsePipeline } from '../../../../../src/homes/pipeline/config/pipelineConfig.js'
import { ProcessorChain } from '../../../../../src/processors/chain.js'
import { batchOf, recordsOf, tableOf } from '../../../../support/processing.js'
import { BatchBuilder } from '../../../../support/rowBatches.js'
import { type Script, scriptedServer } from '../../../../support/scriptedServer.js'

const rides = tableOf('taxi_rides', ['log_id int4', 'note text'])
const others = tableOf('others', ['log_id int4', 'note text'])

/** What processors of a Blink file make of a row of each table, and what the server was asked. */
async function processed(script: Script, processors: (origin: string) => string) {
  await using server = await scriptedServer(script)
  const text = `service: {pipeline_id: 7}
source:
  driver: postgres_cdc
  stream_schema: [{stream: taxi_rides, columns: [{name: log_id, pk: true}, {name: note}]}]
  config: {host: h, database: d, user: u, slot_name: x}
processors:
${processors(server.origin)}
sink: {driver: stdout}
`
  const config = parsePipeline('/etc/blink.yaml', text, { TOKEN: 'of {the} tests' })
  const chain = new ProcessorChain(config.processors!, () => {})
  try {
    const { batch } = new BatchBuilder([rides, others]).create(['1', 'a "b"']).create(['2', 'c'], 1)
    const afters = recordsOf(await chain.process(batchOf(batch))).map(({ after }) => after)
    return { afters, received: server.received, notices: config.notices }
  } finally {
    await chain.close()
  }
}

test('http: the row in a list is sent as in Blink, also by GET; the answer stands in target_field', async () => {
  const { afters, received, notices } = await processed(
    (_, response) => response.end('found'),
    (origin) =>
      `  - driver: http
    config:
      stream_name: taxi_rides
      source: "*"
      target_field: place
      endpoint: ${origin}/geo/{literal}
      auth:
        headers: { x-token: "\${TOKEN}", x-more: "{braces}" }
        basic_auth_user: ""
        basic_auth_password: ""`,
  )
  expect(afters).toEqual([
    { log_id: 1, note: 'a "b"', place: 'found' },
    { log_id: 2, note: 'c' },
  ])
  expect(received).toMatchObject([
    {
      method: 'GET',
      url: '/geo/%7Bliteral%7D',
      body: '[{"log_id":1,"note":"a \\"b\\""}]',
      headers: { 'x-token': 'of {the} tests', 'x-more': '{braces}' },
    },
  ])
  expect(notices).toEqual([])
})

test('http: a field is sent as JSON, with a user and a password; without a target nothing is added', async () => {
  const { afters, received } = await processed(
    (_, response) => response.end(),
    (origin) => `  - driver: http
    config: {stream_name: taxi_rides, source: note, target_field: "", endpoint: "${origin}/", method: post, auth: {basic_auth_user: u, basic_auth_password: p}}`,
  )
  expect(afters[0]).toEqual({ log_id: 1, note: 'a "b"' })
  expect(received).toMatchObject([{ method: 'POST', body: '"a \\"b\\""', headers: { authorization: 'Basic dTpw' } }])
})

test('openai: every key of Blink’s, and base_url of ours', async () => {
  const { afters, received } = await processed(
    (_, response) => response.end('{"choices": [{"message": {"content": "calm"}}]}'),
    (origin) => `  - driver: openai
    config:
      api_key: \${TOKEN}
      model: gpt-3.5-turbo
      prompt: The tone of it
      source_field: note
      target_field: tone
      stream_name: taxi_rides
      limit_per_minute: 6000
      base_url: ${origin}`,
  )
  expect(afters).toEqual([
    { log_id: 1, note: 'a "b"', tone: 'calm' },
    { log_id: 2, note: 'c' },
  ])
  expect(received).toMatchObject([{ url: '/chat/completions', headers: { authorization: 'Bearer of {the} tests' } }])
})
