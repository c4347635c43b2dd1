import { expect, test } from 'vitest'
import { PIPELINE_INVALID, type PipelineProblem } from '../../../../src/core/pipelineErrors.js'
import { parsePipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'

const SECRET = `whsec_${Buffer.alloc(32, 'a').toString('base64')}`
const ENVIRONMENT = { TOKEN: 'tok-5f2a', NUMBER: '17', BREAK: 'a\r\nX-Evil: 1', SECRET, SHORT: 'whsec_AAAA' }

const variable = (name: keyof typeof ENVIRONMENT) => `$\{${name}}`

/** Of a sink with these lines, what is wrong, each with its setting. */
function mistakesOf(...lines: readonly string[]): string[] {
  const text = `source: {url: postgres://app@db/shop, tables: orders}
sinks:
  hook:
    type: webhook
${lines.map((line) => `    ${line}\n`).join('')}`
  try {
    parsePipeline('/etc/tailrace/shop.yaml', text, ENVIRONMENT)
    return []
  } catch (error) {
    if (!PIPELINE_INVALID.is(error)) throw error
    const problems = error.details.problems as readonly PipelineProblem[]
    return problems.map(({ line, setting, problem }) => `${line}: ${setting}: ${problem}`)
  }
}

test('what a webhook needs: a URL, and everything else as the environment has it', () => {
  expect(mistakesOf()).toEqual(['4: sinks.hook.url: it is required, and missing'])
  expect(mistakesOf('url: https://example.com/x')).toEqual([])
  expect(
    mistakesOf(
      ...[
        `url: https://${variable('TOKEN')}:x@example.com/${variable('TOKEN')}?a=1`,
        `headers: { Authorization: "Bearer ${variable('TOKEN')}", X-N: "${variable('NUMBER')}", X-M: 5 }`,
      ],
      ...[
        `secret: ["${variable('SECRET')}", "${variable('SECRET')}"]`,
        'batch_records: 500',
        'tls_ca: ca.pem',
        'endpoint_statuses: [401]',
      ],
    ),
  ).toEqual([])
})

test('mistakes are told without a word of what may be secret', () => {
  const url = 'url: https://example.com/'
  const problems = [
    ...mistakesOf('url: example.com'),
    ...mistakesOf('url: ftp://me:tok-5f2a@example.com/'),
    ...mistakesOf('url: https://example.com/#tok-5f2a'),
    ...mistakesOf(url, `headers: { X-A: "${variable('BREAK')}" }`),
    ...mistakesOf(url, 'headers: { "X A": tok-5f2a }'),
    ...mistakesOf(url, 'headers: { X-A: [tok-5f2a] }'),
    ...mistakesOf(url, 'headers: { webhook-signature: tok-5f2a }'),
    ...mistakesOf(url, `secret: ${variable('SHORT')}`),
    ...mistakesOf(url, 'secret: []'),
    ...mistakesOf('url: http://example.com/', 'tls_insecure: true'),
    ...mistakesOf(url, 'method: GET', 'parallel: 0', 'batch_body: xml'),
  ]
  expect(problems).toEqual([
    '5: sinks.hook.url: a URL is expected, such as https://hooks.example.com/orders',
    '5: sinks.hook.url: https or http is expected, not ftp',
    '5: sinks.hook.url: what stands behind # is never sent',
    '6: sinks.hook.headers: the value of X-A has a character that no header can have, such as a line break',
    '6: sinks.hook.headers: "X A" is no name of a header',
    '6: sinks.hook.headers: a string or a number is expected, not a list',
    '6: sinks.hook.headers: webhook-signature is set by the sink itself',
    '6: sinks.hook.secret: whsec_ and 24 to 64 bytes in base64 are expected; openssl rand -base64 32 makes some',
    expect.stringMatching(/^6: sinks.hook.secret: /),
    '6: sinks.hook.tls_insecure: it needs a url with https',
    '6: sinks.hook.method: "GET": one of POST, PUT, PATCH is expected, not a string',
    expect.stringMatching(/^7: sinks.hook.parallel: 0: /),
    '8: sinks.hook.batch_body: "xml": one of object, array, lines is expected, not a string',
  ])
  expect(problems.join()).not.toContain('5f2a')
})
