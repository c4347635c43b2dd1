import { describe, expect, test } from 'vitest'
import { forgetProxies, readEnvironment } from '../../../../src/homes/conduit/plugin/environment.js'
import { handshakeLine } from '../../../../src/homes/conduit/plugin/handshake.js'
import { logLine } from '../../../../src/homes/conduit/plugin/log.js'
import { readLogLine } from '../../../support/conduit/pluginLog.js'

describe('a log line', () => {
  test('has level and message as the host reads them, and fields beside them', () => {
    const line = logLine('warn', 'slot "x" is lost\nreally', { slot: 'x', bytes: 5, '@message': 7 })
    expect(line.trimEnd()).not.toContain('\n')
    expect(readLogLine(line)).toEqual({
      level: 'warn',
      message: 'slot "x" is lost\nreally',
      fields: { slot: 'x', bytes: 5 },
      plain: false,
    })
  })

  test('is never so long that the host takes it for text', () => {
    for (const character of ['x', '\u0000', '€']) {
      const line = logLine('error', character.repeat(100_000), { value: 'y'.repeat(100_000) })
      expect(Buffer.byteLength(line)).toBeLessThan(64 * 1024)
      expect(readLogLine(line)).toMatchObject({ level: 'error', plain: false })
    }
  })
})

test('the handshake is the line that go-plugin splits', () => {
  expect(handshakeLine({ network: 'tcp', address: '127.0.0.1:40123' })).toBe('1|2|tcp|127.0.0.1:40123|grpc|\n')
})

describe('the environment', () => {
  test('that is incomplete has Conduit’s defaults', () => {
    expect(readEnvironment({ CONDUIT_CONNECTOR_MAX_RECEIVE_RECORD_SIZE: 'many' })).toEqual({
      connectorId: '',
      logLevel: '',
      maxReceiveBytes: 4_194_304,
      utilitiesTarget: '',
      token: '',
    })
  })

  test('loses its proxies and nothing else', () => {
    const env = { http_proxy: 'a', HTTPS_PROXY: 'b', grpc_proxy: 'c', ALL_PROXY: 'd', NO_PROXY: 'e', PATH: 'f' }
    forgetProxies(env)
    expect(env).toEqual({ NO_PROXY: 'e', PATH: 'f' })
  })
})
