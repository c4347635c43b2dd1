import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findPassword, readPasswordFile } from '../../../../src/postgres/connection/passwordFile.js'
import { parseConnectionString, passwordFor } from '../../../../src/postgres/connectionString.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

const asked = { host: 'db', port: 5432, database: 'shop', user: 'app' }

test.each<[string, string | undefined]>([
  ['db:5432:shop:app:secret', 'secret'],
  ['*:*:*:*:secret', 'secret'],
  ['# a comment\n\ndb:5433:*:*:no\nother:*:*:*:no\ndb:*:*:app:yes\n*:*:*:*:late', 'yes'],
  [String.raw`db:5432:shop:app:a\:b\\c`, String.raw`a:b\c`],
  ['db:5432:shop:app:ended:here', 'ended'],
  ['db:5432:shop:app:windows\r\n', 'windows'],
  ['db:5432:shop:app', undefined],
  ['DB:5432:shop:app:secret', undefined],
  [String.raw`\*:5432:shop:app:secret`, undefined],
  [String.raw`d\b:5432:shop:app:secret`, 'secret'],
  ['db*:*:*:*:secret', undefined],
  ['', undefined],
])('%s', (text, expected) => {
  expect(findPassword(text, asked)).toBe(expected)
})

test('a socket in its usual folder counts as localhost, in another by its folder', () => {
  const socket = (host: string) => findPassword('localhost:*:*:*:usual\n/own:*:*:*:own', { ...asked, host })
  expect(['/var/run/postgresql', '/tmp', 'localhost', '/own', '/other'].map(socket)).toEqual([
    'usual',
    'usual',
    'usual',
    'own',
    undefined,
  ])
})

test('whatever is escaped is read back', () => {
  const escaped = (text: string) => text.replace(/[\\:]/g, String.raw`\$&`)
  const field = fc.string({ minLength: 1 }).filter((text) => !/[\n\r]/.test(text) && text !== '*')
  fc.assert(
    fc.property(field, field, field, field, (host, database, user, password) => {
      const line = `${[host, '7', database, user, password].map(escaped).join(':')}`
      expect(findPassword(line, { host, port: 7, database, user })).toBe(password)
      expect(findPassword(line, { host, port: 8, database, user })).toBeUndefined()
    }),
  )
})

test('one that others may read is passed over with a warning, one that is missing without', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, '.pgpass')
  expect(readPasswordFile(path)).toEqual({ text: '', warning: undefined })
  await writeFile(path, 'a', { mode: 0o600 })
  expect(readPasswordFile(path)).toEqual({ text: 'a', warning: undefined })
  for (const mode of [0o640, 0o604, 0o610, 0o602]) {
    await chmod(path, mode)
    expect(readPasswordFile(path)).toMatchObject({
      text: '',
      warning: expect.stringContaining(`(mode 0${mode.toString(8)}); chmod 0600`),
    })
  }
  await mkdir(join(folder.path, 'd'))
  expect(readPasswordFile(join(folder.path, 'd')).warning).toContain('is not a plain file')
})

test('each host has its own password, and one that is given counts for all', async () => {
  await using home = await temporaryFolder()
  await writeFile(join(home.path, '.pgpass'), 'a:1:*:*:of-a\n10.0.0.2:*:*:*:of-b\n', { mode: 0o600 })
  const env = { HOME: home.path }
  const options = parseConnectionString('host=a,,c hostaddr=,10.0.0.2, port=1 user=u', env)
  expect(options.hosts.map((host) => passwordFor(options, host))).toEqual(['of-a', 'of-b', undefined])
  const given = parseConnectionString('host=a,c port=1 user=u password=given', env)
  expect(given.hosts.map((host) => passwordFor(given, host))).toEqual(['given', 'given'])
  await chmod(join(home.path, '.pgpass'), 0o644)
  expect(parseConnectionString('host=a user=u', env).warnings).toEqual([expect.stringContaining('was passed over')])
  expect(parseConnectionString('host=a user=u password=given', env).warnings).toEqual([])
})
