import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { MAX_PATH_BYTES, socketPlaces } from '../../../../src/cli/control/socketPath.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

const own = join(tmpdir(), `tailrace-${process.getuid!()}`)

test('a state file has its socket beside it', () => {
  expect(socketPlaces({ state: '/no/such/folder/shop.state' }).map(({ path }) => path)).toEqual([
    '/no/such/folder/shop.state.sock',
  ])
})

test('the same file has the same socket, however it is named', () => {
  expect(socketPlaces({ state: 'test/../shop.state' })).toEqual(
    socketPlaces({ state: join(process.cwd(), 'shop.state') }),
  )
})

test('where the path is longer than a socket may have, it stands in a folder of our own by a hash', () => {
  vi.stubEnv('XDG_RUNTIME_DIR', '')
  const longest = `/${'x'.repeat(MAX_PATH_BYTES - '/.sock'.length)}`
  expect(socketPlaces({ state: longest })[0]!.path).toBe(`${longest}.sock`)
  const [place] = socketPlaces({ state: `${longest}y` })
  expect(place).toMatchObject({ privateFolder: own, locked: true })
  expect(place!.path).toMatch(/^.{1,80}\/[0-9a-f]{24}\.sock$/)
  expect(socketPlaces({ state: `${longest}z` })[0]!.path).not.toBe(place!.path)
})

test('bytes are counted, not characters', () => {
  expect(socketPlaces({ state: `/${'ü'.repeat(60)}` })[0]!.privateFolder).toBeDefined()
})

test('a slot has its socket in the runtime folder; whoever has none looks there, too', () => {
  vi.stubEnv('XDG_RUNTIME_DIR', '/run/user/1')
  const [first, second] = socketPlaces({ slot: 'nightly' })
  expect([first!.privateFolder, second!.privateFolder]).toEqual(['/run/user/1/tailrace', own])
  vi.stubEnv('XDG_RUNTIME_DIR', '')
  expect(socketPlaces({ slot: 'nightly' })).toEqual([second])
  expect(socketPlaces({ slot: 'nightlz' })).not.toEqual([second])
})

test('a state goes before a slot, and a path that was asked for before both', () => {
  const places = socketPlaces({ state: '/s', slot: 'nightly' })
  expect(places[0]!.path).toBe('/s.sock')
  expect(places.slice(1)).toEqual(socketPlaces({ slot: 'nightly' }))
  expect(socketPlaces({ control: '/c', state: '/s', slot: 'nightly' })).toEqual([
    { path: '/c', locked: false, explicit: true },
  ])
})

test('without a name, and with --no-control, there is none', () => {
  expect(socketPlaces({})).toEqual([])
  expect(socketPlaces({ control: false, state: '/s' })).toEqual([])
})

test('a path that was asked for and is too long is wrong usage', () => {
  expect(() => socketPlaces({ control: `/${'x'.repeat(MAX_PATH_BYTES)}` })).toThrow("a socket's path has")
})
