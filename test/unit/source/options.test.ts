import { describe, expect, test } from 'vitest'
import { parseOptions, type SourceOptions } from '../../../src/source/options.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'

const PASSWORD = 'c0rrect-horse'
const url = `postgres://app:${PASSWORD}@db:5432/shop`

function failure(options: object): { code?: string; message?: string } {
  try {
    void new PostgresSource({ url, tables: 't', ...options } as SourceOptions)
    return {}
  } catch (error) {
    expect(JSON.stringify({ ...(error as object), text: String(error) })).not.toContain(PASSWORD)
    return error as { code: string }
  }
}

describe('the constructor refuses at once', () => {
  test.each<[string, object, string, string]>([
    ['a setting nobody knows', { slots: 'x' }, 'SETTING_UNKNOWN', 'unknown setting "slots"'],
    ['no URL, nor a variable for it', { url: undefined }, 'CONNECTION_MISSING', 'which database to connect to'],
    ['a URL that is none', { url: PASSWORD }, 'CONNECTION_STRING_INVALID', 'postgres://'],
    ['no tables', { tables: undefined }, 'SETTING_INVALID', 'setting "tables"'],
    ['an empty table list', { tables: '' }, 'SETTING_INVALID', 'setting "tables"'],
    ['table names that cannot be read', { tables: 'a,"b' }, 'TABLE_PATTERN_INVALID', 'cannot read the table names'],
    ['a snapshot of unknown kind', { snapshot: 'always' }, 'SETTING_INVALID', 'setting "snapshot" is "always"'],
    ['a slot name that the server would not take', { slot: 'Own-Slot' }, 'SETTING_INVALID', 'lower case letters'],
    ['a slot name that is too long', { slot: 'x'.repeat(64) }, 'SETTING_INVALID', '63 at most'],
    ['a slot where none is made', { slot: 'own', snapshot: 'only' }, 'SETTING_INVALID', 'no slot is made'],
    ['an end that is none', { until: 'now' }, 'SETTING_INVALID', 'neither "current" nor an LSN'],
    ['too small a bound', { maxBytes: 1000 }, 'SETTING_INVALID', 'setting "maxBytes"'],
    ['half a worker', { snapshotWorkers: 1.5 }, 'SETTING_INVALID', 'setting "snapshotWorkers"'],
    ['a position that is none', { position: '0/16B3748' }, 'POSITION_INVALID', 'position'],
    ['a column selection that is none', { columns: ['orders'] }, 'TABLE_PATTERN_INVALID', 'orders'],
    ['a replication URL that is none', { replicationUrl: PASSWORD }, 'CONNECTION_STRING_INVALID', 'postgres://'],
  ])('%s', (_, options, code, message) => {
    const error = failure(options)
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
  })
})

test('undefined is the default', () => {
  const options = parseOptions({ url, tables: 't', slot: undefined, maxBytes: undefined, until: undefined } as never)
  expect(options).toMatchObject({ maxBytes: 4 * 1024 * 1024, snapshot: 'initial', existingSlot: 'refuse' })
  expect([options.slot, options.until, options.position]).toEqual([undefined, undefined, undefined])
  expect(options.replication).toBe(options.connection)
})

test('columns and keys of an object name columns as they are', () => {
  const { columns } = parseOptions({ url, tables: 't', columns: { orders: ['id', 'Odd,"Name"'] } } as never)
  expect(columns).toHaveLength(1)
  expect(columns[0]).toMatchObject({ columns: [{ text: 'id' }, { text: 'Odd,"Name"' }] })
})

test.each<[boolean | string, readonly [string, boolean][]]>([
  [false, [['a', false]]],
  [true, [['a', true]]],
  [
    'out',
    [
      ['outbox', true],
      ['out', true],
      ['checkout', false],
      ['Outbox', false],
    ],
  ],
])('messages: %s', (messages, wanted) => {
  const { wantsMessage } = parseOptions({ url, tables: 't', messages } as never)
  for (const [prefix, wants] of wanted) expect(wantsMessage(prefix)).toBe(wants)
})

test('an LSN to reach', () => {
  expect(parseOptions({ url, tables: 't', until: '1/16B3748' } as never).until).toBe(0x1_016b_3748n)
})
