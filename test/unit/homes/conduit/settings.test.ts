import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SOURCE_ALIASES } from '../../../../src/homes/conduit/settings/aliases.js'
import { formatDuration, parseDuration } from '../../../../src/homes/conduit/settings/duration.js'
import { readSettings } from '../../../../src/homes/conduit/settings/readSettings.js'
import { onlyTable, splitSelections } from '../../../../src/homes/conduit/settings/selections.js'
import { conduitSourceSettings } from '../../../../src/homes/conduit/settings/sourceSettings.js'
import { readSourceSettings, toSourceOptions } from '../../../../src/homes/conduit/source/sourceOptions.js'

const GOOD = { url: 'postgres://app@localhost/shop', tables: 'orders' }
const read = (raw: Record<string, string>) => readSettings(conduitSourceSettings, SOURCE_ALIASES, raw)
const options = (raw: Record<string, string>) =>
  toSourceOptions(readSourceSettings({ ...GOOD, ...raw }), {
    position: undefined,
    connectorId: 'p:c',
    takesBinary: false,
  })
/** Problems by setting. */
const problems = (raw: Record<string, string>) => {
  try {
    read(raw)
    return {}
  } catch (error) {
    const { details } = error as { details: { problems: readonly { name: string; problem: string }[] } }
    return Object.fromEntries(details.problems.map(({ name, problem }) => [name, problem]))
  }
}

describe('settings', () => {
  test('are trimmed, and an empty one is the default', () => {
    const { values } = read({ ' url': `${GOOD.url} `, 'tables ': ' orders', snapshotMode: ' ', 'sdk.batch.delay': '' })
    expect(values).toMatchObject({ ...GOOD, snapshotMode: 'initial', 'sdk.batch.delay': 0 })
  })

  test('have the defaults of the Go connector', () => {
    expect(read(GOOD).values).toMatchObject({
      cdcMode: 'auto',
      snapshotMode: 'initial',
      'logrepl.publicationName': 'conduitpub',
      'logrepl.slotName': 'conduitslot',
      'logrepl.autoCleanup': true,
      'sdk.batch.size': 0,
      'sdk.batch.delay': 0,
      'sdk.schema.context.enabled': true,
      'logrepl.withAvroSchema': true,
      'sdk.schema.extract.payload.enabled': true,
      'sdk.schema.extract.key.subject': 'key',
    })
  })

  test('that are wrong are all told at once, the unknown with the nearest known name', () => {
    expect(
      problems({
        'logrepl.slotname': 'x',
        'logrepl.slotName': 'Shop',
        snapshotMode: 'both',
        'sdk.batch.size': '1_000',
        'sdk.batch.delay': '5 s',
        'logrepl.autoCleanup': 'yes',
        pollInterval: '0s',
        nothingLikeIt: '1',
      }),
    ).toEqual({
      'logrepl.slotname': expect.stringContaining('did you mean "logrepl.slotName"?'),
      'logrepl.slotName': expect.stringContaining('^[a-z0-9_]{1,63}$'),
      snapshotMode: 'it is one of initial, never',
      'sdk.batch.size': 'it is a whole number',
      'sdk.batch.delay': expect.stringContaining('duration'),
      'logrepl.autoCleanup': 'it is true or false',
      pollInterval: expect.any(String),
      nothingLikeIt: expect.stringContaining('no such setting'),
      url: 'it is required',
      tables: 'it is required',
    })
  })

  test('are read as Go reads them', () => {
    const { values } = read({ ...GOOD, 'sdk.batch.size': '+5', 'sdk.batch.delay': '1.5s', 'logrepl.autoCleanup': 'F' })
    expect(values).toMatchObject({ 'sdk.batch.size': 5, 'sdk.batch.delay': 1500, 'logrepl.autoCleanup': false })
  })

  test('of a secret no value is told', () => {
    expect(() => read({ ...GOOD, replicationUrl: '' })).not.toThrow()
    expect(() => read({ tables: 'x', url: '' })).toThrow(expect.not.stringContaining('postgres://'))
  })
})

describe('older names', () => {
  test('do what they did, and a notice gives the new one', () => {
    const { values, notices } = read({
      url: GOOD.url,
      table: 'orders',
      key: 'id',
      cdc: 'true',
      publication_name: 'pub',
      slot_name: 'slot',
      replication_url: GOOD.url,
    })
    expect(values).toMatchObject({
      tables: 'orders',
      keys: 'id',
      cdcMode: 'logrepl',
      'logrepl.publicationName': 'pub',
      'logrepl.slotName': 'slot',
      replicationUrl: GOOD.url,
    })
    expect(notices).toContain('setting "table" is called "tables" today')
    expect(notices.length).toBe(6)
    expect(read({ ...GOOD, cdc: 'false' }).values.cdcMode).toBe('long_polling')
  })

  test('beside the new one are a mistake', () => {
    expect(problems({ ...GOOD, table: 'x' })).toEqual({
      table: expect.stringContaining('"tables" is given by two names'),
    })
  })

  test('of the Go connector that cannot be honoured are told', () => {
    const { given } = read({ ...GOOD, 'snapshot.fetchSize': '10' })
    expect(given.has('snapshot.fetchSize')).toBe(true)
  })
})

describe('columns of tables', () => {
  test.each([
    ['orders:id,total,sales.items:sku', undefined, ['orders:id,total', 'sales.items:sku']],
    ['table1:key1,table2:key2', undefined, ['table1:key1', 'table2:key2']],
    ['id, name', 'orders', ['orders:id,name']],
    ['"a:b":"c,d",e', undefined, ['"a:b":"c,d",e']],
    ['id', undefined, undefined],
  ])('%s', (text, only, expected) => {
    expect(splitSelections(text, only)).toEqual(expected)
  })

  test('without a table are of the only one, which is no pattern', () => {
    expect(onlyTable(' orders ')).toBe('orders')
    expect(onlyTable('"a,b*"')).toBe('"a,b*"')
    expect(onlyTable('orders,items')).toBeUndefined()
    expect(onlyTable('*')).toBeUndefined()
    expect(options({ columns: 'id,total', keys: 'id' })).toMatchObject({
      columns: ['orders:id,total'],
      keys: ['orders:id'],
    })
    expect(() => options({ tables: 'a,b', columns: 'id' })).toThrow(
      expect.objectContaining({ code: 'CONNECTOR_INVALID' }),
    )
  })
})

describe('durations', () => {
  test.each([
    ['300ms', 300],
    ['1.5h', 5_400_000],
    ['2h45m', 9_900_000],
    ['0', 0],
    ['-1s', -1000],
    ['.5s', 500],
    ['10', undefined],
    ['1 s', undefined],
    ['', undefined],
    ['1d', undefined],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test('are printed as they are read', () => {
    fc.assert(fc.property(fc.nat(), (ms) => parseDuration(formatDuration(ms)) === ms))
  })
})
