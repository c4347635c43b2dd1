import { expect, test } from 'vitest'
import { PIPELINE_INVALID, type PipelineProblem } from '../../../../src/core/pipelineErrors.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import { parsePipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'

const SECRET = 'c0rrect-horse-battery'

/** What is wrong with these settings; `$NAME` stands for a variable as files name it. */
function problems(settings: string): string[] {
  const named = settings.replace(/\$([A-Z]+)/g, (_, name) => `\${${name}}`)
  const text = `source: {url: postgres://app@db/shop, tables: orders}\nsinks: {out: {type: websocket, ${named}}}\n`
  try {
    parsePipeline('/etc/shop.yaml', text, { SECRET, LINES: 'a\nx-evil: b' })
    return []
  } catch (error) {
    if (!PIPELINE_INVALID.is(error)) throw error
    const { details } = error as TailraceError
    expect(`${error}${JSON.stringify(details)}`).not.toMatch(/c0rrect|x-evil/)
    return (details.problems as PipelineProblem[]).map(({ setting, problem }) => `${setting}: ${problem}`)
  }
}

test.each([
  'url: wss://feed.example.com/x, headers: {authorization: "Bearer $SECRET"}',
  'listen: "127.0.0.1:8090"',
  'listen: "[::1]:8090", readers: 3',
  'listen: "0.0.0.0:8090", token: "$SECRET"',
])('%s', (settings) => {
  expect(problems(settings)).toEqual([])
})

test.each<[string, string[]]>([
  ['format: row', ['sinks.out.url: url or listen is required: whom to connect to, or where to be connected to']],
  ['url: ws://a, listen: "127.0.0.1:1"', ['sinks.out.listen: either url or listen, not both']],
  ['url: "https://u:$SECRET@a"', ['sinks.out.url: a URL with ws:// or wss:// is expected']],
  ['url: a', ['sinks.out.url: a URL with ws:// or wss:// is expected']],
  ['url: "ws://a/#b"', ['sinks.out.url: a WebSocket’s URL has no #']],
  ['url: ws://a, token: "$SECRET"', ['sinks.out.token: it goes with listen, not with url']],
  ['url: ws://a, headers: {"a b": c}', ['sinks.out.headers: "a b" is no name of a header']],
  [
    'url: ws://a, headers: {a: "$LINES"}',
    ['sinks.out.headers: the value of a has a character that no header can have, such as the end of a line'],
  ],
  [
    'listen: 8090',
    [
      'sinks.out.url: url or listen is required: whom to connect to, or where to be connected to',
      'sinks.out.listen: 8090: a string is expected, not a number',
    ],
  ],
  ['listen: "8090"', ['sinks.out.listen: host:port is expected, as 127.0.0.1:8090 or [::1]:8090']],
  ['listen: "a:99999"', ['sinks.out.listen: host:port is expected, as 127.0.0.1:8090 or [::1]:8090']],
  [
    'listen: "0.0.0.0:8090"',
    ['sinks.out.listen: a token is needed to listen on 0.0.0.0, which others than this machine reach'],
  ],
  [
    'listen: "[::1]:1", token: short',
    ['sinks.out.token: it is too short to be safe: 16 characters at least are expected'],
  ],
  ['listen: "[::1]:1", headers: {a: b}', ['sinks.out.headers: it goes with url, not with listen']],
  ['listen: "[::1]:1", acks: false', ['sinks.out.acks: false goes with url: readers have to acknowledge']],
  ['listen: "[::1]:1", reader_bytes: 65536', ['sinks.out.reader_bytes: it must not be less than window_bytes']],
])('%s: %j', (settings, expected) => {
  expect(problems(settings)).toEqual(expected)
})
