import { isDeepStrictEqual } from 'node:util'
import { MALFORMED_MESSAGE } from '../../src/core/errors.js'
import { NULL_COLUMN, Tape } from '../../src/core/tape.js'
import { readCopyRow } from '../../src/postgres/copy/row.js'
import { PgoutputRecorder } from '../support/pgoutputRecorder.js'
import { type PgoutputEvent, PgoutputTwin, type PlainTuple } from '../support/pgoutputTwin.js'
import { copyRowTwin } from './copyTwin.js'
import { guardedBytes, guardedView } from './guarded.js'
import type { FuzzInput } from './input.js'

/**
 * What came of each message, in words that are the same for inputs of one kind. Throws where the decoder did not keep
 * what it promises: to decode what its slow twin decodes, to refuse all else with MALFORMED_MESSAGE and be then as if
 * that message had never been, and to touch no byte outside the message. `isOriginal`: messages that need no guard,
 * which costs time.
 */
export function outcomesOf(input: FuzzInput, isOriginal: (message: Buffer) => boolean = () => false): string[] {
  if (input.target === 'copy') return input.messages.map((row) => copyOutcome(row, input.columns))
  const recorder = new PgoutputRecorder(input)
  const twin = new PgoutputTwin(input)
  return input.messages.map((message, index) => {
    const guard = isOriginal(message) ? undefined : guardedBytes
    const ours = attempt(() => recorder.decode(message, guard))
    const theirs = attempt(() => twin.decode(message))
    return compare(`message ${index}`, message, ours, theirs, describeEvent)
  })
}

interface Attempt<T> {
  readonly value: T | undefined
  readonly error: unknown
}

function attempt<T>(decode: () => T): Attempt<T> {
  try {
    return { value: decode(), error: undefined }
  } catch (error) {
    return { value: undefined, error }
  }
}

function compare<T>(
  what: string,
  message: Buffer,
  ours: Attempt<T>,
  theirs: Attempt<T>,
  describe: (value: T) => string,
): string {
  if (ours.error !== undefined && !MALFORMED_MESSAGE.is(ours.error)) throw ours.error
  if (!isDeepStrictEqual(ours.value, theirs.value)) {
    const told = (one: Attempt<T>) => (one.error === undefined ? JSON.stringify(one.value, bigints) : String(one.error))
    throw new Error(`${what}, ${message.toString('hex')}: ${told(ours)}, but the twin ${told(theirs)}`)
  }
  if (MALFORMED_MESSAGE.is(ours.error)) {
    const { message: name, problem } = ours.error.details as { message: string; problem: string }
    return `${name}: ${problem.replace(/(0x|\b)[0-9A-F]+(\/[0-9A-F]+)?\b/gi, (word) => (/[\d/]/.test(word) ? '#' : word))}`
  }
  return describe(ours.value!)
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}

function describeEvent(event: PgoutputEvent): string {
  const streamed = 'xid' in event && event.xid !== 0 && 'length' in event ? ', streamed' : ''
  switch (event.kind) {
    case 'insert':
      return `insert of ${states(event.new)}${streamed}`
    case 'update':
      return `update ${event.oldKind} to ${states(event.new)}${streamed}`
    case 'delete':
      return `delete ${event.oldKind} of ${states(event.old)}${streamed}`
    case 'truncate':
      return `truncate of ${Math.min(event.relations.length, 2)}, options ${event.options}${streamed}`
    case 'relation':
      return `relation, ${event.relation.replicaIdentity}${event.relation.columns.length === 0 ? ', no columns' : ''}`
    default:
      return `${event.kind}${streamed}`
  }
}

/** Which states its columns have. */
function states(tuple: PlainTuple): string {
  const found = new Set(
    tuple.map((value) =>
      value === null ? 'null' : value === undefined ? 'unchanged' : value === '' ? 'empty' : 'text',
    ),
  )
  return found.size === 0 ? 'nothing' : [...found].sort().join('+')
}

const BEFORE = Buffer.from('before\t\\N\n')
const BEHIND = Buffer.from('\tbehind\\')
const ON_THE_TAPE = [77, 78]

function copyOutcome(row: Buffer, columns: number): string {
  const ours = attempt(() => readRow(row, columns))
  const theirs = attempt(() => copyRowTwin(row, columns))
  return compare('row', row, ours, theirs, (values) => `row of ${states(values)}`)
}

/** The row amid other bytes, behind another one on the tape. */
function readRow(row: Buffer, columns: number): (string | null)[] {
  const bytes = Uint8Array.from(Buffer.concat([BEFORE, row, BEHIND]))
  const start = BEFORE.length
  const end = start + row.length
  const tape = new Tape(2)
  tape.values.set(ON_THE_TAPE)
  tape.length = ON_THE_TAPE.length
  const view = new DataView(bytes.buffer)
  try {
    readCopyRow(guardedBytes(bytes, start, end), guardedView(view, start, end), start, end, columns, tape)
  } catch (error) {
    if (tape.length !== ON_THE_TAPE.length) throw new Error('a row that failed is on the tape', { cause: error })
    throw error
  }
  if (tape.length !== ON_THE_TAPE.length + 2 * columns) throw new Error('not as many columns as asked for')
  if (ON_THE_TAPE.some((value, at) => tape.values[at] !== value)) throw new Error('the row before was changed')
  return Array.from({ length: columns }, (_, column) => {
    const [from, to] = tape.values.subarray(2 + 2 * column, 4 + 2 * column) as unknown as [number, number]
    if (from === NULL_COLUMN) return null
    if (from < start || from > to || to > end) throw new Error(`[${from}, ${to}) is outside`)
    return Buffer.from(bytes.subarray(from, to)).toString('latin1')
  })
}
