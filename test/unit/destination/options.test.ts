import { describe, expect, test } from 'vitest'
import { PostgresDestination } from '../../../src/destination/postgresDestination.js'
import { parseTemplate } from '../../../src/destination/template.js'

test.each([
  ['{schema}.{table}', 's.t', 'a"b'],
  ['{table}', 'public', 'a"b'],
  ['copy.{schema}_{table}', 'copy', 's.t_a"b'],
  ['"a.b"."x""{table}"', 'a.b', 'x"a"b'],
])('%s', (template, schema, name) => {
  expect(parseTemplate(template)({ schema: 's.t', name: 'a"b' })).toEqual({ schema, name })
})

describe('the constructor refuses at once', () => {
  const url = 'postgres://app:c0rrect-horse@db/copy'
  test.each<[string, object, string, string]>([
    ['a setting nobody knows', { tables: 't' }, 'SETTING_UNKNOWN', 'unknown setting "tables"'],
    ['no name for the source', { source: undefined }, 'SETTING_INVALID', 'setting "source": it is required'],
    ['a template with a field nobody knows', { table: '{tabel}' }, 'SETTING_INVALID', 'did you mean {table}?'],
    ['a template that is not closed', { table: '{table' }, 'SETTING_INVALID', 'not closed'],
    ['a template of three parts', { table: 'a.b.c' }, 'SETTING_INVALID', 'more than schema and table'],
    ['a template with an empty part', { table: 'a.' }, 'SETTING_INVALID', 'empty'],
    ['a key that cannot be read', { keys: ['t'] }, 'TABLE_PATTERN_INVALID', 'expected table:column'],
    ['a history that marks', { mode: 'history', delete: 'soft' }, 'SETTING_INVALID', 'nothing is marked'],
    ['a URL that is none', { url: 'c0rrect-horse' }, 'CONNECTION_STRING_INVALID', 'postgres://'],
  ])('%s', (_, options, code, message) => {
    let failure: unknown
    try {
      void new PostgresDestination({ url, source: 'shop', ...options } as never)
    } catch (error) {
      failure = error
    }
    expect(failure).toMatchObject({ code, message: expect.stringContaining(message) })
    expect(JSON.stringify(failure) + String(failure)).not.toContain('c0rrect-horse')
  })
})

test('nothing is written before open, or after close', async () => {
  const destination = new PostgresDestination({ url: 'postgres://app@db/copy', source: 'shop' })
  await expect(destination.write({} as never)).rejects.toMatchObject({ code: 'DESTINATION_CLOSED' })
  await destination.close()
  await expect(destination.open()).rejects.toMatchObject({
    code: 'DESTINATION_CLOSED',
    message: expect.stringContaining('closed'),
  })
})
