import { expect, test } from 'vitest'
import { hasProcessorForRows } from '../../../../src/homes/airbyte/read/phase.js'

test('a second thread makes lines of rows where the server leaves it a processor, or when it is asked for', () => {
  const here = { source: { url: 'postgres://app@localhost/shop' }, line_threads: undefined }
  const elsewhere = { source: { url: 'postgres://app@db.example.com/shop' }, line_threads: undefined }
  const most = [1, 2, 3].map((processors) => [here, elsewhere].map((one) => hasProcessorForRows(one, processors)))
  expect(most).toEqual([
    [false, false],
    [false, true],
    [true, true],
  ])
  expect(hasProcessorForRows({ ...here, line_threads: 2 }, 2)).toBe(true)
  expect(hasProcessorForRows({ ...elsewhere, line_threads: 1 }, 8)).toBe(false)
})
