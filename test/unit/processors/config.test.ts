import { beforeAll, expect, test } from 'vitest'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { mistakesIn } from '../../support/processing.js'

beforeAll(() => loadGrammar())

test.each<[string, string, readonly string[]]>([
  ['no list', '  type: log', ['4:3: processors: a list of processors is expected here, each with its type']],
  [
    'no type',
    '  - streams: orders',
    [
      '4:5: processors[0].type: it is required, and missing; one of filter, sql, rename, drop, mask, cast, flatten, http, openai, javascript, log is expected',
    ],
  ],
  [
    'a type nearly right',
    '  - {type: fliter, where: a = 1}',
    [
      '4:12: processors[0].type: there is no processor of type fliter; one of filter, sql, rename, drop, mask, cast, flatten, http, openai, javascript, log is expected. Did you mean filter?',
    ],
  ],
  [
    'a setting nearly right',
    '  - type: filter\n    wher: a = 1',
    [
      '4:5: processors[0].where: it is required, and missing',
      '5:5: processors[0].wher: there is no such setting. Did you mean where?',
    ],
  ],
  [
    'SQL that cannot be read',
    '  - type: filter\n    where: a = = 1',
    ['5:12: processors[0].where: syntax error at or near "=" (character 5)'],
  ],
  [
    'more than an expression',
    '  - type: filter\n    where: a FROM b',
    ['5:12: processors[0].where: one expression is expected, and nothing behind it (character 1)'],
  ],
  [
    'a function that is not there',
    '  - type: filter\n    where: "äöü > 1 AND lenght(a) > 1"',
    ['5:12: processors[0].where: the function lenght is not supported here: did you mean length? (character 13)'],
  ],
  [
    'a subquery',
    '  - type: filter\n    where: a IN (SELECT 1)',
    ['5:12: processors[0].where: a subquery is not supported here (character 3)'],
  ],
  [
    'what changes from one run to another',
    '  - {type: log, if: "at > now()"}',
    ['4:21: processors[0].if: now() gives another value each time, and a record may come twice (character 6)'],
  ],
  [
    'a regular expression',
    '  - {type: log, if: "a ~ b"}',
    ['4:21: processors[0].if: the operator ~ is not supported here (character 3)'],
  ],
  [
    'types that do not go together, whatever the table',
    '  - {type: filter, where: "1 = true"}',
    ['4:27: processors[0].where: integer = boolean has no meaning: cast one of them (character 3)'],
  ],
  [
    'what is no condition',
    '  - {type: filter, where: "1 + 1"}',
    ['4:27: processors[0].where: a condition must be true or false, and this is integer (character 3)'],
  ],
  [
    'a type that cannot be cast to',
    '  - {type: cast, columns: {a: money}}',
    ['4:27: processors[0].columns: column a: there is no cast to money here'],
  ],
  [
    'a hash without a key, and one too short',
    '  - {type: mask, hash: [a]}\n  - {type: mask, hash: [a], key: short}',
    ['4:5: processors[0].key: hash needs it', '5:34: processors[1].key: at least 16 characters are expected'],
  ],
  [
    'one column masked twice',
    '  - {type: mask, redact: [a], partial: [a]}',
    ['4:5: processors[0].hash: the column "a" is named twice'],
  ],
  [
    'streams that no table can be',
    '  - {type: log, streams: a.b.c}',
    [expect.stringMatching(/^4:26: processors\[0\]\.streams: /) as unknown as string],
  ],
  [
    'a query of two tables',
    '  - {type: sql, query: "SELECT * FROM a JOIN b ON true"}',
    ['4:24: processors[0].query: FROM with one table is expected (character 1)'],
  ],
  [
    'a query with an expression',
    '  - {type: sql, query: "SELECT id, upper(name) FROM a"}',
    ['4:24: processors[0].query: only names of columns, and *, can stand before FROM here (character 12)'],
  ],
  [
    'a query with a place in its condition',
    '  - {type: sql, query: "SELECT * FROM a WHERE lenght(b) = 1"}',
    ['4:24: processors[0].query: the function lenght is not supported here: did you mean length? (character 23)'],
  ],
  [
    'a query with more clauses',
    '  - {type: sql, query: "SELECT * FROM a ORDER BY b"}',
    ['4:24: processors[0].query: ORDER BY is not supported here (character 1)'],
  ],
])('%s', (_, processors, expected) => {
  expect(mistakesIn(processors)).toEqual(expected)
})

test('a value of the environment is never told', () => {
  const secret = (text: string) => `"\${NONE:${text}}"`
  const told = mistakesIn(`  - {type: ${secret('very secret')}}\n  - {type: mask, hash: [a], key: ${secret('secret')}}`)
  expect(told).toHaveLength(2)
  expect(told.join()).not.toContain('secret')
})
