import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dlqRoutes } from '../../../../../src/homes/pipeline/http/dlqRoutes.js'
import type { ManagedPipeline } from '../../../../../src/homes/pipeline/http/managedPipeline.js'
import { temporaryFolder } from '../../../../support/temporaryFolder.js'

test('letters are read for few at a time, and for nobody who has gone, of which no count is told', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'letters.ndjson')
  const line = `${JSON.stringify({ id: '0/1/1', target: 'a.b', problem: 'no', record: { operation: 'create' } })}\n`
  await writeFile(path, line.repeat(3))
  const told: unknown[] = []
  const sinks = [{ name: 's', letters: { place: { kind: 'file', path }, own: undefined } }]
  const pipeline = {
    config: { statePath: join(folder.path, 'none'), sinks },
    monitor: { lettersFound: (...found: unknown[]) => told.push(found) },
  } as unknown as ManagedPipeline
  const routes = dlqRoutes([pipeline]).filter(({ method }) => method === 'GET')
  expect(routes.map(({ path, costly }) => [path, costly])).toEqual([
    ['/api/dlq', true],
    ['/api/dlq/letter', true],
  ])
  const list = async (gone: () => boolean) => {
    const { body } = await routes[0]!.answer({ query: new URLSearchParams(), body: {}, gone })
    return JSON.parse(String(body)).letters.length
  }
  let asked = 0
  expect([await list(() => ++asked > 2), told]).toEqual([1, []])
  expect([await list(() => false), told]).toEqual([3, [['s', 3]]])
  const one = { query: new URLSearchParams({ number: '0' }), body: {} }
  expect(JSON.parse(String((await routes[1]!.answer({ ...one, gone: () => false })).body))).toMatchObject({
    number: '0',
  })
  await expect(routes[1]!.answer({ ...one, gone: () => true })).rejects.toMatchObject({ code: 'DEAD_LETTER_UNKNOWN' })
})
