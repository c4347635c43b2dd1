import { jsonMembers } from '../../codec/payload/jsonRow.js'
import { formatTimestamp } from '../../codec/timestampText.js'
import { SERVER_EPOCH_MICROS } from '../../core/calendar.js'
import { DEAD_LETTER_NOT_A_ROW } from '../../core/deadLetterErrors.js'
import { PAYLOAD_INVALID } from '../../core/payloadErrors.js'
import { type Lsn, parseLsn } from '../../postgres/lsn.js'

/** Values by column, each as the JSON that stands in the letter. */
export type LetterValues = ReadonlyMap<string, string>

/** A change of a row, or a truncate, as a dead letter has it: the envelope of docs/records.md. */
export interface LetterRecord {
  readonly id: string
  readonly operation: 'snapshot' | 'create' | 'update' | 'delete' | 'truncate'
  readonly schema: string
  readonly table: string
  readonly key: LetterValues | undefined
  readonly oldKey: LetterValues | undefined
  readonly before: LetterValues | undefined
  readonly after: LetterValues | undefined
  readonly unchanged: readonly string[]
  /** Of a change that was streamed. */
  readonly lsn: Lsn | undefined
  readonly seq: number
  readonly xid: number
  /** Microseconds since 2000-01-01. */
  readonly commitTime: bigint | undefined
}

const OPERATIONS: ReadonlySet<string> = new Set(['snapshot', 'create', 'update', 'delete', 'truncate'])
const SERVER_EPOCH = BigInt(SERVER_EPOCH_MICROS)

/** Reads what stands as `record` in a letter. Throws DEAD_LETTER_NOT_A_ROW with why it cannot be written again. */
export function parseLetterRecord(text: string): LetterRecord {
  let members: ReadonlyMap<string, string>
  try {
    members = jsonMembers(text)
  } catch (cause) {
    if (!PAYLOAD_INVALID.is(cause)) throw cause
    throw DEAD_LETTER_NOT_A_ROW({ id: '?', problem: 'it is no JSON object' }, { cause })
  }
  const value = (name: string): unknown => {
    const json = members.get(name)
    return json === undefined ? undefined : JSON.parse(json)
  }
  const id = String(value('id') ?? '?')
  const refuse = (problem: string) => DEAD_LETTER_NOT_A_ROW({ id, problem })
  const operation = String(value('operation'))
  if (members.has('beforeText') || members.has('afterText')) throw refuse('a value of it could not be read')
  if (!OPERATIONS.has(operation)) throw refuse(`it is a record of operation ${operation}, and no row`)
  const [schema, table] = [value('schema'), value('table')]
  if (typeof schema !== 'string' || typeof table !== 'string') throw refuse('it names no table')
  const values = (name: string): LetterValues | undefined => {
    const json = members.get(name)
    if (json === undefined) return undefined
    if (!json.startsWith('{')) throw refuse(`its ${name} is no object`)
    return jsonMembers(json)
  }
  const record: LetterRecord = {
    id,
    operation: operation as LetterRecord['operation'],
    ...{ schema, table },
    key: values('key'),
    oldKey: values('oldKey'),
    before: values('before'),
    after: values('after'),
    unchanged: (value('unchanged') ?? []) as string[],
    lsn: parseLsn(String(value('lsn') ?? '')),
    seq: Number(value('seq') ?? -1),
    xid: Number(value('xid') ?? 0),
    commitTime: parseTime(value('committedAt')),
  }
  const isRow = operation !== 'truncate' && operation !== 'delete'
  if (isRow && record.after === undefined) throw refuse('it has no row')
  if (operation === 'delete' && record.key === undefined && record.before === undefined) throw refuse('it has no key')
  return record
}

/** The inverse of {@link formatTimestamp}. */
function parseTime(text: unknown): bigint | undefined {
  const match = typeof text === 'string' ? /^(.*\.\d{3})(\d{3})Z$/.exec(text) : null
  if (match === null) return undefined
  const time = BigInt(Date.parse(`${match[1]}Z`)) * 1000n + BigInt(match[2]!) - SERVER_EPOCH
  return formatTimestamp(time) === text ? time : undefined
}
