// biome-ignore lint/plugin: others' descriptors are what this test is about
import { closeSync, existsSync, openSync } from 'node:fs'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Output } from '../../../src/sinks/files/output.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

test.each([
  ['', 0],
  ['torn', 0],
  ['a\n', 2],
  ['a\nb\ntorn', 4],
  ['\n', 1],
  [`a\n${'x'.repeat(200_000)}`, 2],
  [`${'x'.repeat(200_000)}\ntorn`, 200_001],
  [`${'x'.repeat(65_535)}\n`, 65_536],
])('the last whole line of a file ends where it ends', async (content, end) => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out')
  await writeFile(path, content)
  const output = await Output.open(path)
  expect([output.isFile, output.bytes, await output.endOfLastLine()]).toEqual([true, content.length, end])
  await output.close()
})

test('what is to be cut off stays until there is something to write', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out')
  await writeFile(path, 'one\ntwo\ntorn')
  const output = await Output.open(path)
  output.cutAt(4)
  expect(output.bytes).toBe(4)
  expect(await readFile(path, 'utf8')).toBe('one\ntwo\ntorn')
  await output.write([Buffer.from('three'), Buffer.from('\n')])
  expect([output.bytes, await readFile(path, 'utf8')]).toEqual([10, 'one\nthree\n'])
  // Once only: what is written later stays.
  await output.write([Buffer.from('four\n')])
  await output.sync()
  expect([output.bytes, await readFile(path, 'utf8')]).toEqual([15, 'one\nthree\nfour\n'])
  await output.close()
})

test('a sync without a write cuts, too, and a cut behind the end does nothing', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out')
  await writeFile(path, 'one\ntorn')
  const output = await Output.open(path)
  output.cutAt(8)
  await output.sync()
  expect(await readFile(path, 'utf8')).toBe('one\ntorn')
  output.cutAt(4)
  await output.sync()
  expect(await readFile(path, 'utf8')).toBe('one\n')
  await output.close()
})

test('what is written while a sync cuts stands behind the cut', async () => {
  await using folder = await temporaryFolder()
  for (let time = 0; time < 100; time++) {
    const path = join(folder.path, `out${time}`)
    await writeFile(path, `one\n${'torn'.repeat(1000)}`)
    const output = await Output.open(path)
    output.cutAt(4)
    await Promise.all([output.sync(), output.write([Buffer.from('two\n')])])
    expect([output.bytes, await readFile(path, 'utf8')]).toEqual([8, 'one\ntwo\n'])
    await output.close()
  }
})

test('more parts than the system takes at once are written in order, behind what somebody else appended', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out')
  const output = await Output.open(path)
  await appendFile(path, 'before\n')
  const lines = Array.from({ length: 3000 }, (_, index) => `${index}\n`)
  await output.write(lines.map((line) => Buffer.from(line)))
  expect(await readFile(path, 'utf8')).toBe(`before\n${lines.join('')}`)
  await output.close()
})

test('what is done behind its end reaches nothing that was opened since', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out')
  const output = await Output.open(path)
  // More than one call takes.
  const lines = Array.from({ length: 3000 }, () => Buffer.from('mine\n'))
  const [writing] = await Promise.allSettled([output.write(lines), output.close(), output.close()])
  expect(writing).toMatchObject({ status: 'rejected', reason: { code: 'OUTPUT_FAILED' } })
  const others = Array.from({ length: 20 }, (_, index) => openSync(join(folder.path, `other ${index}`), 'a'))
  await expect(output.write(lines)).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
  await expect(output.sync()).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
  await output.close()
  for (const [index, other] of others.entries()) {
    closeSync(other) // EBADF: somebody closed it
    expect(await readFile(join(folder.path, `other ${index}`), 'utf8')).toBe('')
  }
})

test('a folder is a failed output', async () => {
  await using folder = await temporaryFolder()
  await expect(Output.open(folder.path)).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
})

test.skipIf(!existsSync('/dev/full'))('a device that takes nothing is a failed output, and no file', async () => {
  const full = await Output.open('/dev/full')
  expect(full.isFile).toBe(false)
  await expect(full.write([Buffer.from('x')])).rejects.toMatchObject({
    code: 'OUTPUT_FAILED',
    details: { name: '/dev/full', errno: 'ENOSPC' },
  })
  await full.close()
})
