import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import '../../../src/core/errors.js'
import { definedErrors } from '../../../src/core/tailraceError.js'
import { definedWarnings, PUBLICATIONS_UNSEEN } from '../../../src/core/warnings.js'

const src = new URL('../../../src/', import.meta.url)

test('a warning is an event with its code, message and what to do', () => {
  expect(PUBLICATIONS_UNSEEN({ seconds: 30, problem: 'no answer' })).toEqual({
    type: 'warning',
    code: 'PUBLICATIONS_UNSEEN',
    message: 'the publications could not be looked at for 30 s: no answer',
    hint: expect.stringMatching(/^Nothing is confirmed/),
  })
})

test('no code is both an error’s and a warning’s', () => {
  expect([...definedWarnings.keys()].filter((code) => definedErrors.has(code))).toEqual([])
})

test('every warning is declared in core/warnings.ts', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const byHand = files.filter((file) => /type: 'warning',\s*code: '/.test(readFileSync(new URL(file, src), 'utf8')))
  expect(files.length).toBeGreaterThan(100)
  expect(byHand).toEqual([])
})
