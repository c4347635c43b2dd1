import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileBox } from '../../../../../src/homes/pipeline/dlq/fileBox.js'
import type { Letter, LetterFilter } from '../../../../../src/homes/pipeline/dlq/letter.js'
import { temporaryFolder } from '../../../../support/temporaryFolder.js'

const lineOf = (id: number, at = '2026-11-22T10:00:00.000Z') => {
  const table = id % 2 === 0 ? 'even' : 'odd'
  const record = { operation: 'create', schema: 'shop', table, key: { id }, after: { id, note: 'é\n"' } }
  const facts = { at, source: 'p.s', id: `0/1/${id}`, target: `shop.${table}`, sqlstate: id > 5 ? '23514' : undefined }
  return `${JSON.stringify({ ...facts, problem: `no ${id}`, record })}\n`
}

async function lettersFile(count: number) {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'letters.ndjson')
  const write = (from: number, to: number, at?: string) =>
    appendFile(path, Array.from({ length: to - from + 1 }, (_, index) => lineOf(from + index, at)).join(''))
  await write(1, count)
  return { path, write, [Symbol.asyncDispose]: folder[Symbol.asyncDispose] }
}

async function read(path: string, filter: LetterFilter = {}, end?: number): Promise<Letter[]> {
  await using box = new FileBox('s', path, end)
  const found: Letter[] = []
  for await (const letter of box.letters(filter)) found.push(letter)
  return found
}

const ids = (letters: readonly Letter[]) => letters.map(({ id }) => Number(id.slice(4)))

async function remove(path: string, wanted: (id: number) => boolean, settle = true): Promise<void> {
  await using box = new FileBox('s', path, undefined)
  await box.claim()
  for await (const letter of box.letters({})) if (wanted(Number(letter.id.slice(4)))) await box.remove(letter)
  if (settle) await box.settle()
}

test('letters are no longer looked for when whoever asked has gone', async () => {
  await using file = await lettersFile(9)
  let looked = 0
  expect(await read(file.path, { id: 'none', gone: () => ++looked === 4 })).toEqual([])
  expect(looked).toBe(4)
})

test('letters are read as they were put aside, and found by table, code, time, id and number', async () => {
  await using file = await lettersFile(9)
  const all = await read(file.path)
  expect(ids(all)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(JSON.parse(all[2]!.record)).toMatchObject({ key: { id: 3 }, after: { note: 'é\n"' } })
  expect(ids(await read(file.path, { tables: 'shop.e*' }))).toEqual([2, 4, 6, 8])
  expect(ids(await read(file.path, { sqlstate: '23514', limit: 2 }))).toEqual([6, 7])
  expect(ids(await read(file.path, { id: '0/1/4' }))).toEqual([4])
  expect(ids(await read(file.path, { from: all[3]!.number, to: all[5]!.number }))).toEqual([4, 5, 6])
  // A number between two lines is that of the next.
  expect(ids(await read(file.path, { from: String(Number(all[3]!.number) + 1), limit: 1 }))).toEqual([5])
  expect(ids(await read(file.path, { since: new Date('2026-11-22T10:00:00.001Z') }))).toEqual([])
  await using box = new FileBox('s', file.path, undefined)
  expect((await box.find(all[6]!.number))?.id).toBe('0/1/7')
  expect(await box.find(String(Number(all[6]!.number) + 1))).toBeUndefined()
  await appendFile(file.path, 'torn')
  expect(ids(await read(file.path))).toHaveLength(9)
  await appendFile(file.path, '\n')
  await expect(read(file.path)).rejects.toMatchObject({ code: 'DEAD_LETTERS_DAMAGED' })
})

test('what is done with stays so, while others are added; the file itself is never changed', async () => {
  await using file = await lettersFile(9)
  const before = await readFile(file.path)
  await remove(file.path, (id) => id === 1 || id === 4 || id === 5 || id === 6)
  expect(ids(await read(file.path))).toEqual([2, 3, 7, 8, 9])
  await file.write(10, 12)
  await remove(file.path, (id) => id === 3 || id === 11)
  const left = await read(file.path)
  expect(ids(left)).toEqual([2, 7, 8, 9, 10, 12])
  // From the middle of what is done with.
  expect(ids(await read(file.path, { from: String(Number(left[0]!.number) + 1) }))).toEqual([7, 8, 9, 10, 12])
  expect((await readFile(file.path)).subarray(0, before.length).equals(before)).toBe(true)
  await using box = new FileBox('s', file.path, undefined)
  await box.claim()
  for await (const letter of box.letters({ limit: 1 })) {
    await box.keep(letter, { problem: 'another', sqlstate: undefined })
  }
  await box.settle()
  expect((await read(file.path))[0]).toMatchObject({ id: '0/1/2', problem: 'another', sqlstate: undefined })
})

test('killed at any byte of what it writes, no letter is lost, and none that is left is hidden', async () => {
  await using file = await lettersFile(9)
  await remove(file.path, (id) => id <= 2)
  const first = await readFile(`${file.path}.done`)
  await remove(file.path, (id) => id === 5 || id === 7 || id === 8)
  const second = await readFile(`${file.path}.done`)
  for (let length = first.length; length <= second.length; length++) {
    await writeFile(`${file.path}.done`, second.subarray(0, length))
    const left = ids(await read(file.path))
    for (const id of [3, 4, 6, 9]) expect(left).toContain(id)
    expect(left).not.toContain(1)
    // Whoever goes on writes behind the torn line.
    await remove(file.path, (id) => id === 9)
    const now = ids(await read(file.path))
    // A line that only its end was missing of is whole then.
    for (const id of [3, 4, 6]) expect(now).toContain(id)
    expect(left.filter((id) => id !== 9)).toEqual(expect.arrayContaining(now))
  }
})

test('letters that a run has taken back say nothing of those that came in their place, nor an old file of a new one', async () => {
  await using file = await lettersFile(9)
  const [, , , , fifth] = await read(file.path)
  await remove(file.path, (id) => id >= 5)
  expect(ids(await read(file.path))).toEqual([1, 2, 3, 4])
  await truncate(file.path, Number(fifth!.number))
  await file.write(5, 9, '2026-11-22T11:00:00.000Z')
  expect(ids(await read(file.path))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  await remove(file.path, (id) => id === 6)
  expect(ids(await read(file.path))).toEqual([1, 2, 3, 4, 5, 7, 8, 9])
  await writeFile(file.path, '')
  await file.write(1, 9, '2026-11-22T12:00:00.000Z')
  expect(ids(await read(file.path))).toHaveLength(9)
  // What a run has not recorded it may still take back.
  expect(ids(await read(file.path, {}, Number(fifth!.number)))).toEqual([1, 2, 3, 4])
})

test('one at a time takes letters out', async () => {
  await using file = await lettersFile(1)
  await using box = new FileBox('s', file.path, undefined)
  await box.claim()
  await using other = new FileBox('s', file.path, undefined)
  await expect(other.claim()).rejects.toMatchObject({ code: 'DEAD_LETTERS_BUSY' })
})
