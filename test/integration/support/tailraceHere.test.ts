// biome-ignore lint/plugin: others' descriptors are what this test is about
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { freePort } from '../../../src/cli/embedded/port.js'
import { tailraceHere } from '../../support/tailraceHere.js'

test('a run in this process closes nothing that others of it have opened meanwhile', async () => {
  const opened: number[] = []
  let over = false
  const opening = (async () => {
    for (; !over && opened.length < 2000; await sleep(1)) opened.push(openSync('/dev/null', 'r'))
  })()
  const url = `postgres://nobody@127.0.0.1:${await freePort()}/none`
  const { code, stderr } = await tailraceHere(['stream', '--url', url, '--tables', 't'])
  over = true
  await opening
  const closed = opened.filter((fd) => {
    try {
      return closeSync(fd)
    } catch {
      return true
    }
  })
  expect([code, closed], stderr).toEqual([1, []])
  expect(stderr).toContain('ECONNREFUSED')
})
