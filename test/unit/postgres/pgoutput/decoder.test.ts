import { describe, expect, test } from 'vitest'
import { MALFORMED_MESSAGE } from '../../../../src/core/errors.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import { NULL_COLUMN, Tape, UNCHANGED_COLUMN } from '../../../../src/core/tape.js'
import { PgoutputDecoder, type PgoutputOptions } from '../../../../src/postgres/pgoutput/decoder.js'
import type { PgoutputHandler } from '../../../../src/postgres/pgoutput/handler.js'
import { PgoutputRecorder } from '../../../support/pgoutputRecorder.js'
import type { PgoutputEvent } from '../../../support/pgoutputTwin.js'

const int8 = (value: number) => Buffer.of(value)
const int16 = (value: number) => Buffer.from(Uint8Array.of(value >> 8, value))
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}
const int64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const string = (value: string) => Buffer.from(`${value}\0`)
/** Parts that are strings are written as they are: tags and kinds. */
const message = (...parts: (Buffer | string)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))

const text = (value: string) => message('t', int32(Buffer.byteLength(value)), value)
const tuple = (...values: (string | Buffer)[]) =>
  message(int16(values.length), ...values.map((value) => (typeof value === 'string' ? text(value) : value)))
const NULL = Buffer.from('n')
const UNCHANGED = Buffer.from('u')

const begin = (lsn = 0x100n, xid = 7) => message('B', int64(lsn), int64(0n), int32(xid))
const commit = (lsn = 0x100n) => message('C', int8(0), int64(lsn), int64(lsn + 8n), int64(0n))
const streamStart = (xid: number, first = 1) => message('S', int32(xid), int8(first))
const streamStop = message('E')
const streamCommit = (xid: number) => message('c', int32(xid), int8(0), int64(0x100n), int64(0x108n), int64(0n))
const streamAbort = (xid: number, subxid: number) => message('A', int32(xid), int32(subxid))
const prepared = (tag: string, flags: Buffer, lsn: bigint, xid: number) =>
  message(tag, flags, int64(lsn), int64(lsn + 8n), int64(0n), int32(xid), string('gid'))
const streamPrepare = (xid: number) => prepared('p', int8(0), 0x100n, xid)

/** `own`: the xid in a streamed block. */
function relation(oid: number, columns: string[], own?: number, identity = 'd'): Buffer {
  const prefix = own === undefined ? '' : int32(own)
  const described = columns.map((name) => message(int8(0), string(name), int32(25), int32(-1)))
  return message('R', prefix, int32(oid), string('s'), string('t'), identity, int16(columns.length), ...described)
}
const insert = (oid: number, values: (string | Buffer)[], own?: number) =>
  message('I', own === undefined ? '' : int32(own), int32(oid), 'N', tuple(...values))

const STREAMING: PgoutputOptions = { protocolVersion: 2, streaming: 'on' }
const PLAIN: PgoutputOptions = { protocolVersion: 1, streaming: 'off' }

function given(options: PgoutputOptions, ...messages: Buffer[]): PgoutputRecorder {
  const recorder = new PgoutputRecorder(options)
  for (const one of messages) recorder.decode(one)
  return recorder
}

function failure(recorder: PgoutputRecorder, bytes: Buffer): TailraceError {
  try {
    recorder.decode(bytes)
  } catch (error) {
    if (MALFORMED_MESSAGE.is(error)) return error
    throw error
  }
  return expect.unreachable(`${bytes.toString('hex')} was decoded`)
}

function columnsOf(event: PgoutputEvent): string[] {
  if (event.kind !== 'insert') throw new Error(`an insert was expected, not ${event.kind}`)
  return event.relation.columns.map(({ name }) => name)
}

describe('rows', () => {
  test('are offsets into the bytes that were given, behind what was on the tape', () => {
    const silent = new Proxy({}, { get: () => () => {} }) as PgoutputHandler
    const decoder = new PgoutputDecoder(silent, PLAIN)
    const described = relation(1, ['a', 'b', 'c', 'd'])
    decoder.decode(described, 0, described.length)
    const row = insert(1, ['ab', NULL, '', UNCHANGED])
    decoder.tape.length = 2
    const chunk = Buffer.concat([Buffer.alloc(100), row, Buffer.alloc(50)])
    decoder.decode(chunk, 100, 100 + row.length)
    const { values, length } = decoder.tape
    expect([...values.subarray(2, length)]).toEqual([
      ...[113, 115, NULL_COLUMN, NULL_COLUMN],
      ...[121, 121, UNCHANGED_COLUMN, UNCHANGED_COLUMN],
    ])
  })

  test('make the tape grow, two tuples of an update included', () => {
    const columns = Array.from({ length: 100 }, (_, column) => `c${column}`)
    const recorder = given(PLAIN, relation(1, columns, undefined, 'f'))
    recorder.decoder.tape = new Tape(4)
    const row = columns.map((name) => `value of ${name}`)
    const update = message('U', int32(1), 'O', tuple(...row), 'N', tuple(...row))
    expect(recorder.decode(update)).toMatchObject({ old: row, new: row })
  })

  test('go to the tape that was put in place between two messages', () => {
    const recorder = given(PLAIN, relation(1, ['a']), insert(1, ['old tape']))
    const before = recorder.decoder.tape
    recorder.decoder.tape = new Tape()
    expect(recorder.decode(insert(1, ['new tape']))).toMatchObject({ new: ['new tape'] })
    expect(before.length).toBe(6)
    expect(recorder.decoder.tape.length).toBe(6)
  })

  test('of a relation without columns have none', () => {
    expect(given(PLAIN, relation(1, [])).decode(insert(1, []))).toMatchObject({ kind: 'insert', new: [] })
  })

  test.each([
    ['a value longer than its message', message('t', int32(2), 'a'), 'a value does not end in its message'],
    ['a negative length', message('t', int32(-1), 'a'), 'a value does not end in its message'],
    ['a negative length that leads back to the value before', message('t', int32(-5)), 'does not end in its message'],
    ['a huge length', message('t', int32(0x7fffffff)), 'a value does not end in its message'],
    ['a length that is cut', message('t', int16(0)), "the tuple ends in a value's length"],
    ['a column too few', '', 'the tuple ends before its last column'],
    ['a binary value', message('b', int32(1), 'a'), 'binary values were not asked for'],
    ['an unknown kind', message('x', int32(1), 'a'), 'unknown kind of value 120'],
  ])('%s is refused, as the first of the row and as the last', (_, value, problem) => {
    const recorder = given(PLAIN, relation(1, ['a', 'b']))
    const row = (...values: (Buffer | string)[]) => message('I', int32(1), 'N', int16(2), ...values)
    expect(failure(recorder, row(text('first'), value)).message).toContain(problem)
    if (value !== '') expect(failure(recorder, row(value)).message).toContain(problem)
    expect(recorder.decode(insert(1, ['whole', 'row']))).toMatchObject({ new: ['whole', 'row'] })
  })

  test('with another number of columns than the relation are refused', () => {
    const recorder = given(PLAIN, relation(1, ['a', 'b']))
    for (const values of [[], ['1'], ['1', '2', '3']]) {
      const problem = `the tuple has ${values.length} columns, its relation 2`
      expect(failure(recorder, insert(1, values)).details).toMatchObject({ problem, offset: 6 })
    }
    expect(failure(recorder, message('I', int32(1), 'N', int16(-1))).message).toContain('has 65535 columns')
  })

  test('of a relation that was not described are refused', () => {
    const recorder = given(PLAIN, relation(1, ['a']))
    expect(failure(recorder, insert(2, ['1'])).message).toContain('no Relation message has described relation 2')
    recorder.decoder.reset()
    expect(failure(recorder, insert(1, ['1'])).message).toContain('no Relation message has described relation 1')
  })

  test.each([
    ['Insert', message('I', int32(1), 'K', tuple('1'))],
    ['Update', message('U', int32(1), 'X', tuple('1'))],
    ['Update', message('U', int32(1), 'K', tuple('1'), 'K', tuple('1'))],
    ['Update', message('U', int32(1), 'N', tuple('1'), 'N', tuple('1'))],
    ['Delete', message('D', int32(1), 'N', tuple('1'))],
  ])('%s refuses tuples that it does not have', (name, bytes) => {
    expect(failure(given(PLAIN, relation(1, ['a'])), bytes).details.message).toBe(name)
  })
})

describe('fields', () => {
  test('OIDs and xids are unsigned, type modifiers signed', () => {
    const recorder = new PgoutputRecorder(STREAMING)
    const start = recorder.decode(streamStart(0xffff_fff0))
    const described = recorder.decode(relation(0xf000_0000, ['a'], 0xffff_fff1))
    const inserted = recorder.decode(insert(0xf000_0000, ['1'], 0xffff_fff1))
    expect(start).toMatchObject({ xid: 0xffff_fff0 })
    expect(described).toMatchObject({ xid: 0xffff_fff1, relation: { oid: 0xf000_0000, columns: [{ typmod: -1 }] } })
    expect(inserted).toMatchObject({ xid: 0xffff_fff1, relation: { oid: 0xf000_0000 } })
  })

  test('LSNs are unsigned, times signed', () => {
    const bytes = message('B', int64(-8n), int64(-1n), int32(1))
    const expected = { kind: 'begin', finalLsn: 0xffff_ffff_ffff_fff8n, commitTime: -1n, xid: 1 }
    expect(new PgoutputRecorder(PLAIN).decode(bytes)).toEqual(expected)
  })

  test.each([
    ['d', 'default'],
    ['n', 'nothing'],
    ['f', 'full'],
    ['i', 'index'],
  ])('replica identity %s is %s', (letter, replicaIdentity) => {
    const event = new PgoutputRecorder(PLAIN).decode(relation(1, ['a'], undefined, letter))
    expect(event).toMatchObject({ relation: { replicaIdentity } })
  })

  test('an empty namespace is pg_catalog', () => {
    const event = new PgoutputRecorder(PLAIN).decode(message('Y', int32(16400), string(''), string('int4')))
    expect(event).toEqual({ kind: 'type', oid: 16400, schema: 'pg_catalog', name: 'int4', xid: 0 })
  })

  test.each([
    ['flags of a Commit', message('C', int8(1), int64(0x100n), int64(0x108n), int64(0n)), 'flags has unknown bits: 1'],
    ['options of a Truncate', message('T', int32(1), int8(4), int32(1)), 'options has unknown bits: 4'],
    ['flags of a Message', message('M', int8(2), int64(1n), string('p'), int32(0)), 'flags has unknown bits: 2'],
    ['flags of a column', message('R', int32(2), string('s'), string('t'), 'd', int16(1), int8(2)), 'unknown bits: 2'],
    ['replica identity', relation(2, [], undefined, 'x'), 'unknown replica identity 120'],
    ['a negative number of relations', message('T', int32(-1), int8(0)), '-1 relations do not fill the message'],
    ['a huge number of relations', message('T', int32(0x40000001), int8(0), int32(1)), '1073741825 relations do not'],
    ['too many columns', message('R', int32(2), string('s'), string('t'), 'd', int16(9)), 'it ends in column flags'],
    ['a negative content', message('M', int8(0), int64(1n), string('p'), int32(-1)), 'a content of -1 bytes does not'],
    [
      'a content too long',
      message('M', int8(0), int64(1n), string('p'), int32(2), 'a'),
      'a content of 2 bytes does not',
    ],
    [
      'a content too short',
      message('M', int8(0), int64(1n), string('p'), int32(0), 'a'),
      'a content of 0 bytes does not',
    ],
    ['a string without its end', message('O', int64(1n), 'name'), 'name of the origin is not terminated'],
    ['a string that is not UTF-8', message('O', int64(1n), 'n\xff\0'), 'name of the origin is not valid UTF-8'],
    ['an unknown tag', message('Z', int32(1)), 'unknown tag 0x5a at byte 0 of 5'],
    ['an unknown tag', message('\0'), 'unknown tag 0x00 at byte 0 of 1'],
    ['no tag', message(), 'it is empty at byte 0 of 0'],
  ])('%s: refused', (_, bytes, problem) => {
    expect(failure(given(PLAIN, relation(1, ['a']), begin()), bytes).message).toContain(problem)
  })

  test('LSN 0/0 and xid 0 are no transaction', () => {
    const recorder = new PgoutputRecorder(STREAMING)
    expect(failure(recorder, begin(0n)).message).toContain('final LSN is 0/0')
    expect(failure(recorder, begin(1n, 0)).message).toContain('xid is 0')
    expect(failure(recorder, streamStart(0)).message).toContain('xid is 0')
  })
})

describe('a failure', () => {
  test('names message, offset, length, and the LSN that Begin announced', () => {
    const recorder = given(PLAIN, relation(1, ['a']), begin(0x16_b374_d848n))
    const error = failure(recorder, message('I', int32(1), 'N', int16(1), 'x'))
    expect(error.details).toEqual({
      message: 'Insert',
      problem: 'unknown kind of value 120',
      offset: 8,
      length: 9,
      lsn: '16/B374D848',
    })
    expect(error.message).toBe(
      "cannot decode the server's Insert message: unknown kind of value 120 at byte 8 of 9 (LSN 16/B374D848)",
    )
  })

  test('knows no LSN outside a transaction', () => {
    const recorder = given(PLAIN, relation(1, ['a']), begin(), commit())
    expect(failure(recorder, insert(2, ['1'])).details.lsn).toBeUndefined()
  })

  test('in the second tuple of an update leaves nothing of the first one', () => {
    const recorder = given(PLAIN, relation(1, ['a', 'b']))
    failure(recorder, message('U', int32(1), 'O', tuple('1', '2'), 'N', tuple('1')))
    expect(recorder.decoder.tape.length).toBe(4) // what the recorder had put there
    expect(recorder.decode(insert(1, ['a', 'b']))).toMatchObject({ new: ['a', 'b'] })
  })

  test('of a Relation leaves the relation as it was', () => {
    const recorder = given(PLAIN, relation(1, ['a']))
    failure(recorder, relation(1, ['a', 'b']).subarray(0, -1))
    failure(recorder, message(relation(1, ['a', 'b']), 'x'))
    expect(columnsOf(recorder.decode(insert(1, ['1'])))).toEqual(['a'])
  })
})

describe('order', () => {
  const inTransaction = [begin()]
  const inPrepared = [prepared('b', message(), 0x100n, 7)]
  const inStream = [streamStart(7)]

  test.each([
    ['Commit', [], commit()],
    ['Commit', inPrepared, commit()],
    ['Commit', inStream, commit()],
    ['Begin', inTransaction, begin(0x200n)],
    ['Begin', inStream, begin()],
    ['Begin Prepare', inTransaction, prepared('b', message(), 0x100n, 7)],
    ['Prepare', [], prepared('P', int8(0), 0x100n, 7)],
    ['Prepare', inTransaction, prepared('P', int8(0), 0x100n, 7)],
    ['Commit Prepared', inTransaction, prepared('K', int8(0), 0x100n, 7)],
    ['Stream Start', inTransaction, streamStart(8)],
    ['Stream Start', inStream, streamStart(8)],
    ['Stream Stop', [], streamStop],
    ['Stream Stop', inTransaction, streamStop],
    ['Stream Stop', [...inStream, streamStop], streamStop],
    ['Stream Commit', inStream, streamCommit(7)],
    ['Stream Abort', inStream, streamAbort(7, 7)],
    ['Stream Prepare', inStream, streamPrepare(7)],
  ])('a %s in the wrong place is refused, and the right place still known', (name, before, bytes) => {
    const recorder = given(STREAMING, ...before)
    const error = failure(recorder, bytes)
    expect(error.details).toMatchObject({ message: name, offset: 0 })
    expect(error.message).toMatch(/it stands (outside|inside) a .* not (outside|inside) a /)
    expect(failure(recorder, bytes).message).toBe(error.message)
  })

  test('a Commit must have the LSN that Begin announced', () => {
    const recorder = given(PLAIN, begin(0x100n))
    expect(failure(recorder, commit(0x108n)).message).toContain('LSN of the commit is 0/108, which was not announced')
    recorder.decode(commit(0x100n))
  })

  test('a Prepare must have the LSN that Begin Prepare announced', () => {
    const recorder = given(PLAIN, ...inPrepared)
    expect(failure(recorder, prepared('P', int8(0), 0x108n, 7)).message).toContain('was not announced')
    recorder.decode(prepared('P', int8(0), 0x100n, 7))
  })

  test.each([
    ['Stream Commit', streamCommit(9)],
    ['Stream Abort', streamAbort(9, 9)],
    ['Stream Prepare', streamPrepare(9)],
    ['Stream Start', streamStart(9, 0)],
  ])('a %s of a transaction that was not streamed is refused', (_, bytes) => {
    const recorder = given(STREAMING, streamStart(8), streamStop)
    expect(failure(recorder, bytes).message).toContain('no block of transaction 9 came before')
  })

  test.each([
    ['Stream Commit', streamCommit(8)],
    ['Stream Abort', streamAbort(8, 8)],
    ['Stream Prepare', streamPrepare(8)],
  ])('after its %s a transaction is no longer streamed', (_, bytes) => {
    const recorder = given(STREAMING, streamStart(8), streamStop, bytes)
    expect(failure(recorder, bytes).message).toContain('no block of transaction 8 came before')
    recorder.decode(streamStart(8))
  })

  test('the first block of a transaction comes once', () => {
    const recorder = given(STREAMING, streamStart(8), streamStop)
    expect(failure(recorder, streamStart(8)).message).toContain('a second first block of transaction 8')
    recorder.decode(streamStart(8, 0))
  })

  test('streaming that was not asked for is refused', () => {
    expect(failure(new PgoutputRecorder(PLAIN), streamStart(8)).message).toContain('streaming was not asked for')
  })

  test('after reset() the decoder is outside any transaction, streamed ones included', () => {
    const recorder = given(STREAMING, streamStart(8), relation(1, ['a'], 8), streamStop, begin())
    recorder.decoder.reset()
    recorder.decode(begin())
    recorder.decode(commit())
    recorder.decode(streamStart(8))
  })
})

describe('relations of streamed blocks', () => {
  const common = relation(1, ['common'])
  /** A block of `xid` with one Relation message, sent by the transaction or sub-transaction `own`. */
  const block = (xid: number, first: number, column: string, own = xid) => [
    streamStart(xid, first),
    relation(1, [column], own),
    streamStop,
  ]
  const seen = (recorder: PgoutputRecorder) => columnsOf(recorder.decode(insert(1, ['1'])))

  test('are not known outside, before the transaction commits', () => {
    const recorder = given(STREAMING, common, ...block(8, 1, 'streamed'))
    expect(seen(recorder)).toEqual(['common'])
    recorder.decode(streamCommit(8))
    expect(seen(recorder)).toEqual(['streamed'])
  })

  test('are known in the later blocks of the same transaction only', () => {
    const recorder = given(STREAMING, ...block(8, 1, 'eight'), ...block(9, 1, 'nine'), streamStart(8, 0))
    expect(columnsOf(recorder.decode(insert(1, ['1'], 8)))).toEqual(['eight'])
  })

  test('must all come in the stream: the common ones are not taken for them', () => {
    const recorder = given(STREAMING, common, streamStart(8))
    expect(failure(recorder, insert(1, ['1'], 8)).message).toContain('no Relation message has described relation 1')
  })

  test('are dropped when the transaction is rolled back', () => {
    expect(seen(given(STREAMING, common, ...block(8, 1, 'streamed'), streamAbort(8, 8)))).toEqual(['common'])
  })

  test('are dropped when the transaction is prepared: the server sends them again', () => {
    expect(seen(given(STREAMING, common, ...block(8, 1, 'streamed'), streamPrepare(8)))).toEqual(['common'])
  })

  test('are dropped when the sub-transaction is rolled back that sent them', () => {
    const recorder = given(STREAMING, common, ...block(8, 1, 'sub', 10), streamAbort(8, 10), streamStart(8, 0))
    expect(failure(recorder, insert(1, ['1'], 8)).message).toContain('no Relation message has described relation 1')
    recorder.decode(streamStop)
    recorder.decode(streamCommit(8))
    expect(seen(recorder)).toEqual(['common'])
  })

  test('stay when another sub-transaction is rolled back', () => {
    const recorder = given(STREAMING, common, ...block(8, 1, 'sub', 10), streamAbort(8, 11), streamCommit(8))
    expect(seen(recorder)).toEqual(['sub'])
  })

  test('do not replace at the commit what came after them', () => {
    const recorder = given(STREAMING, ...block(8, 1, 'early'), relation(1, ['late']), streamCommit(8))
    expect(seen(recorder)).toEqual(['late'])
  })
})

describe('the constructor', () => {
  test.each([
    { protocolVersion: 1, streaming: 'on' },
    { protocolVersion: 3, streaming: 'parallel' },
  ] as const)('refuses %o', (options) => {
    expect(() => new PgoutputRecorder(options)).toThrow(/needs protocol version/)
  })

  test('takes two-phase messages with every version: a slot made for them sends them unasked', () => {
    const recorder = given(PLAIN, prepared('b', message(), 0x100n, 7), prepared('P', int8(0), 0x100n, 7))
    expect(recorder.decode(prepared('K', int8(0), 0x200n, 7))).toMatchObject({ kind: 'commitPrepared', gid: 'gid' })
  })
})
