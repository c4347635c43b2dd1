import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MUTATIONS } from '../../../scripts/mutations/list.mjs'

test('whatever a mutation changes stands where it says, once', () => {
  const edits = MUTATIONS.flatMap((mutation) => mutation.edits)
  const root = new URL('../../../', import.meta.url)
  const missed = edits.filter(({ file, from }) => readFileSync(new URL(file, root), 'utf8').split(from).length !== 2)
  expect(missed).toEqual([])
})
