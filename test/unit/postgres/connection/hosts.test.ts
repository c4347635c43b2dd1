import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  addressesOf,
  defaultHost,
  isOnThisMachine,
  shuffled,
  socketPath,
} from '../../../../src/postgres/connection/hosts.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

test('without a host the first folder that has a socket for the port is taken, else localhost', async () => {
  await using first = await temporaryFolder()
  await using second = await temporaryFolder()
  const folders = [first.path, second.path]
  expect(defaultHost(5432, folders)).toBe('localhost')
  await writeFile(join(second.path, '.s.PGSQL.5432'), '')
  expect(defaultHost(5432, folders)).toBe(second.path)
  expect(defaultHost(5433, folders)).toBe('localhost')
  await writeFile(join(first.path, '.s.PGSQL.5432'), '')
  expect(defaultHost(5432, folders)).toBe(first.path)
})

test('where a host is', async () => {
  const host = { name: 'db.invalid', address: undefined, port: 5432 }
  expect(await addressesOf({ ...host, address: '10.0.0.1' })).toEqual(['10.0.0.1'])
  expect(await addressesOf({ ...host, name: '::1' })).toEqual(['::1'])
  expect(await addressesOf({ ...host, name: '/run/pg', port: 7 })).toEqual(['/run/pg/.s.PGSQL.7'])
  expect(socketPath('@abstract', 7)).toBe('\0abstract/.s.PGSQL.7')
  expect(await addressesOf({ ...host, name: 'localhost' })).toContain('127.0.0.1')
  await expect(addressesOf(host)).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/)
})

test('which servers share this machine', () => {
  const host = (name: string, address?: string) => ({ name, address, port: 5432 })
  const here = [host('localhost'), host('/run/pg'), host('@pg'), host('127.0.0.1'), host('127.1.2.3'), host('::1')]
  expect(here.filter((one) => !isOnThisMachine(one))).toEqual([])
  expect(isOnThisMachine(host('db.example.com', '127.0.0.1'))).toBe(true)
  const elsewhere = [host('db.example.com'), host('10.0.0.1'), host('127.example.com'), host('localhost', '10.0.0.1')]
  expect(elsewhere.filter(isOnThisMachine)).toEqual([])
})

test('an order drawn at random has every host once, and each may come first', () => {
  const drawn = Array.from({ length: 200 }, () => shuffled(['a', 'b', 'c']))
  for (const order of drawn) expect([...order].sort()).toEqual(['a', 'b', 'c'])
  expect(new Set(drawn.map(([first]) => first))).toEqual(new Set(['a', 'b', 'c']))
  expect(shuffled(['a', 'b', 'c'], () => 0.999)).toEqual(['a', 'b', 'c'])
})
