import { expect, test } from 'vitest'
import { PROTOCOL_VERSION, readRequest, writeMessage } from '../../../../src/cli/control/protocol.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'

const line = (message: object) => JSON.stringify({ version: PROTOCOL_VERSION, ...message })

function refused(text: string): { code: string; message: string; hint: string } {
  try {
    readRequest(text)
  } catch (error) {
    const { code, message, hint } = error as TailraceError
    return { code, message, hint }
  }
  throw new Error(`it was read: ${text}`)
}

test.each([
  { command: 'status' },
  { id: 7, command: 'add', tables: 'orders,"Odd, name"' },
  { id: 'x', command: 'remove', tables: 'archive.*' },
  { command: 'resnapshot', table: 'public.orders' },
  { command: 'resnapshot', table: 'orders', where: 'id > 100' },
])('%o is read as it was written', (request) => {
  expect(readRequest(line(request))).toEqual(request)
  const { id, ...signal } = request as { id?: number; command: 'status' }
  expect(readRequest(writeMessage(signal, id).trimEnd())).toEqual(request)
})

test('what is in addition is left out', () => {
  expect(readRequest(line({ command: 'status', tables: 'a', more: 1 }))).toEqual({ command: 'status' })
})

test.each([
  ['nonsense', 'the line is no JSON: "nonsense"'],
  ['[1]', 'the line is no JSON object'],
  ['null', 'the line is no JSON object'],
  ['{"command":"status"}', 'its version is missing, and this run speaks version 1'],
  ['{"version":99,"command":"status"}', 'its version is 99, and this run speaks version 1'],
  [line({}), 'there is no command missing'],
  [line({ command: 5 }), 'there is no command 5'],
  [line({ id: {}, command: 'status' }), 'its id is no text or number'],
  [line({ command: 'add' }), 'add takes the tables'],
  [line({ command: 'remove', tables: ['a'] }), 'remove takes the tables'],
  [line({ command: 'resnapshot' }), 'resnapshot takes the name of one table'],
  [line({ command: 'resnapshot', table: 'a', where: 1 }), '"where" is no text'],
  [line({ command: 'resnapshot', table: 'a,b' }), 'resnapshot takes one table, and not "a,b"'],
  [line({ command: 'resnapshot', table: 'a.*' }), 'resnapshot takes one table, and not "a.*"'],
])('%s is refused', (text, problem) => {
  expect(refused(text)).toMatchObject({ code: 'SIGNAL_INVALID', message: expect.stringContaining(problem) })
})

test('an unknown command is answered with the nearest known one', () => {
  expect(refused(line({ command: 'resnapshoot', table: 'a' })).hint).toBe('Did you mean resnapshot?')
})

test('names that cannot be read are refused with their place', () => {
  expect(refused(line({ command: 'add', tables: 'a,' })).code).toBe('TABLE_PATTERN_INVALID')
  expect(refused(line({ command: 'resnapshot', table: '"a' })).code).toBe('TABLE_PATTERN_INVALID')
})

test('a long line is not repeated whole', () => {
  expect(refused('x'.repeat(100_000)).message.length).toBeLessThan(200)
})
