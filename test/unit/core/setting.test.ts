import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { describeSettings, parseSettings, setting } from '../../../src/core/setting.js'

const shape = {
  url: setting(z.string().min(1), { description: 'Where.', secret: true, example: 'postgres://…' }),
  mode: setting(z.enum(['fast', 'slow']).default('fast'), { description: 'How.' }),
  waitMs: setting(z.int().min(0).optional(), { description: 'How long.', unit: 'ms' }),
  names: setting(z.union([z.string(), z.array(z.string())]), { description: 'Which.' }),
  map: setting(z.record(z.string(), z.string()).default({}), { description: 'What for what.' }),
}
const good = { url: 'x', names: 'a' }

function failure(input: object): { code: string; message: string; hint: string; details: object } {
  try {
    parseSettings(shape, input)
    throw new Error('it was taken')
  } catch (error) {
    return error as ReturnType<typeof failure>
  }
}

describe('reading', () => {
  test('gives values and defaults', () => {
    expect(parseSettings(shape, { ...good, waitMs: 5 })).toEqual({ ...good, mode: 'fast', waitMs: 5, map: {} })
  })

  test('answers an unknown name with the nearest known one', () => {
    const error = failure({ ...good, waitms: 5 })
    expect(error.code).toBe('SETTING_UNKNOWN')
    expect(error.hint).toContain('"waitMs"')
  })

  test('answers one that is like none with all that there are', () => {
    expect(failure({ ...good, completelyElse: 5 }).hint).toContain('url, mode, waitMs, names, map')
  })

  test('names the setting, its value and what was expected', () => {
    const error = failure({ ...good, mode: 'medium' })
    expect(error.code).toBe('SETTING_INVALID')
    expect(error.message).toMatch(/setting "mode" is "medium": .*"fast"\|"slow"/)
  })

  test('says of one that is missing that it is required', () => {
    expect(failure({ names: 'a' }).message).toBe('setting "url": it is required')
  })

  test('never prints a secret', () => {
    const error = failure({ ...good, url: ['hunter2'] })
    expect(error.code).toBe('SETTING_INVALID')
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('hunter2')
  })
})

test('every setting is described as it was declared', () => {
  expect(describeSettings(shape)).toMatchObject([
    { name: 'url', type: 'string', required: true, secret: true, example: 'postgres://…' },
    { name: 'mode', type: 'choice', required: false, default: 'fast', choices: ['fast', 'slow'] },
    { name: 'waitMs', type: 'number', required: false, default: undefined, unit: 'ms' },
    { name: 'names', type: 'string or list', required: true },
    { name: 'map', type: 'map', required: false, default: {} },
  ])
})

test('one that lost its facts on the way is our mistake', () => {
  const lost = { n: setting(z.string(), { description: 'x' }).optional() }
  expect(() => describeSettings(lost)).toThrow('a setting without facts')
})
