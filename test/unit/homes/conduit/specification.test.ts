import { describe, expect, test } from 'vitest'
import { readDestination } from '../../../../src/homes/conduit/destination/destinationOptions.js'
import { Parameter_Type, Validation_Type } from '../../../../src/homes/conduit/proto/config/v1/parameter.js'
import { readSourceSettings } from '../../../../src/homes/conduit/source/sourceOptions.js'
import { specification } from '../../../../src/homes/conduit/specification.js'

const { sourceParams, destinationParams, ...about } = specification()
const ALL = { ...sourceParams, ...destinationParams }
const GOOD = { url: 'postgres://app@localhost/shop', tables: 'orders' }

describe('what Conduit is told', () => {
  test('has name, summary, description, author, and a version as it wants it', () => {
    for (const text of [about.name, about.summary, about.description, about.author]) {
      expect(text).not.toBe('')
      expect(text).toBe(text.trim())
    }
    expect(about.version).toMatch(/^v\d+\.\d+\.\d+(-[\w.]+)?$/)
  })

  test('names parameters as it takes them, each with type and description', () => {
    for (const [name, { description, type }] of Object.entries(ALL)) {
      expect(name).toMatch(/^[a-zA-Z0-9.*]+$/)
      expect(description).not.toBe('')
      expect(type).not.toBe(Parameter_Type.TYPE_UNSPECIFIED)
    }
  })

  test('has validations that it can make: known ones, numbers that are numbers, patterns without look-around', () => {
    for (const { validations } of [...Object.values(sourceParams), ...Object.values(destinationParams)]) {
      for (const { type, value } of validations) {
        expect(type).toBeGreaterThanOrEqual(Validation_Type.TYPE_REQUIRED)
        if (type === Validation_Type.TYPE_GREATER_THAN || type === Validation_Type.TYPE_LESS_THAN) {
          expect(Number.isFinite(Number(value))).toBe(true)
        }
        if (type === Validation_Type.TYPE_REGEX) expect(value).not.toMatch(/\(\?[=!<]|\\[1-9]/)
        if (type === Validation_Type.TYPE_INCLUSION) expect(value).not.toContain(' ')
      }
    }
  })

  test('has defaults that its own validations and ours let pass', () => {
    const defaults = Object.entries(sourceParams).map(([name, parameter]) => [name, parameter.default])
    expect(() => readSourceSettings({ ...Object.fromEntries(defaults), ...GOOD })).not.toThrow()
    const others = Object.entries(destinationParams).map(([name, parameter]) => [name, parameter.default])
    expect(() => readDestination({ ...Object.fromEntries(others), url: GOOD.url })).not.toThrow()
    for (const { validations, default: value } of [
      ...Object.values(sourceParams),
      ...Object.values(destinationParams),
    ]) {
      for (const { type, value: bound } of validations) {
        if (value === '') continue
        if (type === Validation_Type.TYPE_GREATER_THAN) expect(Number(value)).toBeGreaterThan(Number(bound))
        if (type === Validation_Type.TYPE_LESS_THAN) expect(Number(value)).toBeLessThan(Number(bound))
        if (type === Validation_Type.TYPE_INCLUSION) expect(bound.split(',')).toContain(value)
        if (type === Validation_Type.TYPE_REGEX) expect(value).toMatch(new RegExp(bound))
      }
    }
  })

  test('has every parameter of the Go connector', () => {
    expect(Object.keys(sourceParams)).toEqual(
      expect.arrayContaining([
        'url',
        'tables',
        'snapshotMode',
        'snapshot.fetchSize',
        'cdcMode',
        'logrepl.publicationName',
        'logrepl.slotName',
        'logrepl.autoCleanup',
        'logrepl.withAvroSchema',
        'sdk.batch.size',
        'sdk.batch.delay',
        'sdk.schema.context.enabled',
        'sdk.schema.context.name',
        'sdk.schema.extract.type',
        'sdk.schema.extract.payload.enabled',
        'sdk.schema.extract.payload.subject',
        'sdk.schema.extract.key.enabled',
        'sdk.schema.extract.key.subject',
      ]),
    )
    expect(sourceParams.url).toMatchObject({
      default: '',
      validations: [{ type: Validation_Type.TYPE_REQUIRED, value: '' }],
    })
    expect(sourceParams['sdk.batch.size']).toMatchObject({
      type: Parameter_Type.TYPE_INT,
      default: '0',
      validations: [{ type: Validation_Type.TYPE_GREATER_THAN, value: '-1' }],
    })
    expect(sourceParams['sdk.batch.delay']).toMatchObject({ type: Parameter_Type.TYPE_DURATION, default: '0s' })
    expect(sourceParams.cdcMode!.validations).toEqual([
      { type: Validation_Type.TYPE_INCLUSION, value: 'auto,logrepl,long_polling' },
    ])
  })

  test('has every parameter of the Go destination, with its type and default', () => {
    const facts = Object.fromEntries(
      Object.entries(destinationParams).map(([name, { type, default: value }]) => [name, [type, value]]),
    )
    expect(facts).toMatchObject({
      url: [Parameter_Type.TYPE_STRING, ''],
      table: [Parameter_Type.TYPE_STRING, '{{ index .Metadata "opencdc.collection" }}'],
      key: [Parameter_Type.TYPE_STRING, ''],
      'sdk.batch.size': [Parameter_Type.TYPE_INT, '0'],
      'sdk.batch.delay': [Parameter_Type.TYPE_DURATION, '0s'],
      'sdk.rate.perSecond': [Parameter_Type.TYPE_FLOAT, '0'],
      'sdk.rate.burst': [Parameter_Type.TYPE_INT, '0'],
      'sdk.record.format': [Parameter_Type.TYPE_STRING, 'opencdc/json'],
      'sdk.record.format.options': [Parameter_Type.TYPE_STRING, ''],
      'sdk.schema.extract.payload.enabled': [Parameter_Type.TYPE_BOOL, 'true'],
      'sdk.schema.extract.key.enabled': [Parameter_Type.TYPE_BOOL, 'true'],
    })
    expect(destinationParams.url!.validations).toEqual([{ type: Validation_Type.TYPE_REQUIRED, value: '' }])
  })
})
