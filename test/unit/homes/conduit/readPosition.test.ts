import { expect, test } from 'vitest'
import { POSITION_INVALID } from '../../../../src/core/errors.js'
import { halfway, readPosition } from '../../../../src/homes/conduit/source/readPosition.js'

const POSITION =
  '{"version":1,"system":"7711079304756939918","timeline":1,"database":"shop","slot":"shop","epoch":1,"captured":[16385],"lsn":"0/18FB880","seq":0,"sub":0,"fingerprint":0}'

test('a position of ours, at a record and in the middle of a change of its key', () => {
  expect(readPosition(Buffer.from(POSITION))).toEqual({ position: POSITION, half: false })
  expect(readPosition(Buffer.from(halfway(POSITION)))).toEqual({ position: POSITION, half: true })
})

test('whatever byte of it is another one, it is a position or refused as damaged', () => {
  for (let place = 0; place < POSITION.length; place++) {
    for (const other of ['"', '\n', 'x', '\\', '}']) {
      const damaged = POSITION.slice(0, place) + other + POSITION.slice(place + 1)
      try {
        readPosition(Buffer.from(damaged))
      } catch (error) {
        expect(POSITION_INVALID.is(error), `${damaged}: ${error}`).toBe(true)
      }
    }
  }
})
