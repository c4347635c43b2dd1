import { parseBigJson } from '../../../codec/text/bigJson.js'
import { POSITION_INVALID } from '../../../core/errors.js'
import { INVALID_LSN, type Lsn, parseLsn } from '../../../postgres/lsn.js'

/** How far Conduit's own connector was with a table: its one integer key, up to which it has read, and where it ends. */
export interface GoTableProgress {
  readonly lastRead: bigint
  readonly snapshotEnd: bigint
}

/**
 * A position of Conduit's own Postgres connector. Its LSN is the start of one change, not of a transaction's end: it cannot
 * tell interleaved transactions apart, so that it is no place to go on from, only a bound.
 */
export type GoPosition =
  /** Nothing was read: `{"type":0}`, or `0/0`. */
  | { readonly kind: 'initial' }
  /** The snapshot is not finished; by table, as the settings name it. Of a version until v0.7.0 one table, read by number of rows. */
  | { readonly kind: 'snapshot'; readonly tables: ReadonlyMap<string, GoTableProgress> }
  | { readonly kind: 'rows'; readonly table: string; readonly rows: bigint }
  /** The stream; `lsn` is that of the last change. */
  | { readonly kind: 'cdc'; readonly lsn: Lsn }
  /** The first connector's (`pg`, 2022): the key of the last row. */
  | { readonly kind: 'key'; readonly key: bigint }

const TYPE_INITIAL = 0
const TYPE_SNAPSHOT = 1
const TYPE_CDC = 2

const INTEGER = /^-?\d{1,19}$/
const ROWS = /^(.+):(\d{1,19})$/s
const MAX_KEY = 2n ** 63n - 1n

/**
 * Reads a position of any version of Conduit's own connector. Undefined when it has none of their forms; what has one, and
 * is damaged, is POSITION_INVALID.
 */
export function readGoPosition(bytes: Uint8Array): GoPosition | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  if (text.trimStart().startsWith('{')) return readJson(text)
  const lsn = parseLsn(text)
  if (lsn !== undefined) return lsn === INVALID_LSN ? { kind: 'initial' } : { kind: 'cdc', lsn }
  if (INTEGER.test(text)) return { kind: 'key', key: checkedKey(BigInt(text), 'the key') }
  const rows = ROWS.exec(text)
  if (rows !== null) return { kind: 'rows', table: rows[1]!, rows: checkedKey(BigInt(rows[2]!), 'the number of rows') }
  return undefined
}

function readJson(text: string): GoPosition | undefined {
  let json: Record<string, unknown>
  try {
    json = parseBigJson(text) as Record<string, unknown>
  } catch {
    return undefined
  }
  // ours has "version", and no "type"; theirs leaves out what is empty, but never the type
  if (!('type' in json) || 'version' in json) return undefined
  const known = ['type', 'snapshots', 'last_lsn']
  const odd = Object.keys(json).find((name) => !known.includes(name))
  if (odd !== undefined) throw invalid(`a position of Conduit's own connector has no ${JSON.stringify(odd)}`)
  switch (json.type) {
    case TYPE_INITIAL:
      return { kind: 'initial' }
    case TYPE_SNAPSHOT:
      return { kind: 'snapshot', tables: readTables(json.snapshots) }
    case TYPE_CDC: {
      const lsn = typeof json.last_lsn === 'string' ? parseLsn(json.last_lsn) : undefined
      if (lsn === undefined || lsn === INVALID_LSN) throw invalid('its type is 2 (CDC), and its last_lsn is no LSN')
      return { kind: 'cdc', lsn }
    }
    default:
      throw invalid("its type is none of Conduit's own connector, 0, 1 or 2")
  }
}

/** A snapshot that has just begun has no tables. */
function readTables(snapshots: unknown): ReadonlyMap<string, GoTableProgress> {
  const tables = new Map<string, GoTableProgress>()
  if (snapshots === undefined || snapshots === null) return tables
  if (typeof snapshots !== 'object' || Array.isArray(snapshots)) throw invalid('its snapshots are no object')
  for (const [table, progress] of Object.entries(snapshots)) {
    const { last_read, snapshot_end } = Object(progress) as Record<string, unknown>
    tables.set(table, {
      lastRead: readKey(last_read, `last_read of table ${table}`),
      snapshotEnd: readKey(snapshot_end, `snapshot_end of table ${table}`),
    })
  }
  return tables
}

function readKey(value: unknown, what: string): bigint {
  if (typeof value !== 'bigint' && !Number.isInteger(value)) throw invalid(`${what} is no integer`)
  return checkedKey(BigInt(value as bigint | number), what)
}

function checkedKey(key: bigint, what: string): bigint {
  if (key > MAX_KEY || key < -MAX_KEY - 1n) throw invalid(`${what} has more than 64 bits`)
  return key
}

function invalid(problem: string): Error {
  return POSITION_INVALID({ problem })
}
