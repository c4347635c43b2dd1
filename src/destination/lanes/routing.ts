import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  NO_OLD,
  type RowBatch,
  SNAPSHOT,
  TRUNCATE,
  UPDATE,
} from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { UNCHANGED_COLUMN } from '../../core/tape.js'
import { sqlName } from '../../postgres/identifier.js'
import type { Target } from '../target.js'

/** The lane of all that is not parted: the connection that writes everything else, too. */
export const MAIN = 0

/** How a batch was parted: all that it takes to tell again, of a record that is sent once more, which lane wrote it. */
export interface Routing {
  /** How many there are, the main one among them. */
  readonly lanes: number
  /** By name, as SQL: the tables of the source that were parted, each with the columns of its key in the order in which they count. */
  readonly tables: Readonly<Record<string, readonly string[]>>
}

/** What the target's catalog says of a table that may be written over several connections. */
export interface LaneFacts {
  /** Rows of one key meet nothing but each other: see `laneFacts.ts`. */
  readonly standsAlone: boolean
  /** A change of it may write other tables: triggers, rules, foreign keys that cascade. */
  readonly writesOthers: boolean
}

/** Records of a batch by lane, as their indexes. */
export interface Routed {
  readonly routing: Routing
  readonly records: readonly (readonly number[])[]
}

/**
 * Parts a batch among lanes, so that what each of them writes can be committed apart from all else: records of one key come into
 * one lane, and into {@link MAIN} those of tables that do not stand alone, or of which a key changes so that it would leave its
 * lane. Undefined: it is to be written in one piece.
 */
export function routeBatch(
  batch: RowBatch,
  targets: readonly Target[],
  factsOf: (target: Target) => LaneFacts,
  lanes: number,
): Routed | undefined {
  const tables = new Set<number>()
  for (let record = 0; record < batch.count; record++) {
    const operation = batch.heads[record * HEAD + HEAD_OPERATION]!
    if (operation === TRUNCATE || operation === SNAPSHOT) return undefined
    if (operation < TRUNCATE) tables.add(batch.heads[record * HEAD + HEAD_TABLE]!)
  }
  if ([...tables].some((index) => factsOf(targets[index]!).writesOthers)) return undefined
  const keys = keysOf(tables, targets, factsOf)
  for (;;) {
    if (keys.size === 0) return undefined
    const parted = part(batch, keys, lanes)
    if (Array.isArray(parted)) {
      if (parted.every((of, lane) => lane === MAIN || of.length === 0)) return undefined
      const named = [...keys].map(([index, key]) => {
        const { table } = targets[index]!
        return [sqlName(table), key.map((column) => table.columns[column]!.name)]
      })
      return { routing: { lanes, tables: Object.fromEntries(named) }, records: parted }
    }
    const { target } = targets[parted]!
    for (const index of tables) if (targets[index]!.target === target) keys.delete(index)
  }
}

/** By index: the key of each table that is to be parted. */
function keysOf(
  tables: ReadonlySet<number>,
  targets: readonly Target[],
  factsOf: (target: Target) => LaneFacts,
): Map<number, readonly number[]> {
  const keys = new Map<number, readonly number[]>()
  const columnsOf = new Map<string, Set<string>>()
  for (const index of tables) {
    const target = targets[index]!
    const key = factsOf(target).standsAlone ? inNameOrder(target.table, target.key) : []
    const columns = columnsOf.get(target.target) ?? new Set()
    columnsOf.set(target.target, columns.add(JSON.stringify(key.map((column) => target.table.columns[column]!.name))))
    keys.set(index, key)
  }
  // Two shapes, or two tables, that come together at a target are parted alike, or not at all.
  for (const [index, key] of keys) {
    if (key.length === 0 || columnsOf.get(targets[index]!.target)!.size > 1) keys.delete(index)
  }
  return keys
}

/** Records by lane; or the index of a table that cannot be parted. */
function part(batch: RowBatch, keys: ReadonlyMap<number, readonly number[]>, lanes: number): number[][] | number {
  const { heads, count } = batch
  const records: number[][] = Array.from({ length: lanes }, () => [])
  for (let record = 0; record < count; record++) {
    if (heads[record * HEAD + HEAD_OPERATION]! > TRUNCATE) continue
    const index = heads[record * HEAD + HEAD_TABLE]!
    const key = keys.get(index)
    const lane = key === undefined ? MAIN : laneOfRecord(batch, record, key, lanes)
    if (lane === undefined) return index
    records[lane]!.push(record)
  }
  return records
}

/** One order whatever the shape: that of the key's columns may differ between tables that come together at a target. */
function inNameOrder({ columns }: Table, key: readonly number[]): number[] {
  return [...key].sort((a, b) => (columns[a]!.name < columns[b]!.name ? -1 : 1))
}

/** The lane of a row's change; undefined: it is not of one lane, or the key was not told. */
export function laneOfRecord(
  batch: RowBatch,
  record: number,
  key: readonly number[],
  lanes: number,
): number | undefined {
  const { heads } = batch
  const head = record * HEAD
  const operation = heads[head + HEAD_OPERATION]!
  const old = heads[head + HEAD_OLD]!
  const oldAt = (old & 3) === NO_OLD ? -1 : old >> 2
  if (operation === DELETE) return oldAt < 0 ? undefined : laneOfKey(batch, record, key, oldAt, -1, lanes)
  const lane = laneOfKey(batch, record, key, heads[head + HEAD_NEW]!, oldAt, lanes)
  if (operation !== UPDATE || oldAt < 0) return lane
  return laneOfKey(batch, record, key, oldAt, -1, lanes) === lane ? lane : undefined
}

/**
 * By the bytes of the key (FNV-1a, its bits mixed as MurmurHash3 ends), whose columns stand from `at` on on the tape, or where they were
 * not sent from `fallback` on; undefined: it was not told. Stored in effect beside the checkpoint: it has to give the same in every
 * version.
 */
export function laneOfKey(
  { heads, buffers, tape }: RowBatch,
  record: number,
  key: readonly number[],
  at: number,
  fallback: number,
  lanes: number,
): number | undefined {
  const bytes = buffers[heads[record * HEAD + HEAD_BUFFER]!]!
  const { values } = tape
  let hash = 0x811c9dc5
  for (const column of key) {
    let pair = at + 2 * column
    if (values[pair] === UNCHANGED_COLUMN && fallback >= 0) pair = fallback + 2 * column
    const start = values[pair]!
    if (start < 0) return undefined
    const end = values[pair + 1]!
    for (let p = start; p < end; p++) hash = Math.imul(hash ^ bytes[p]!, 0x01000193)
    // No text holds a NUL: so columns do not run into each other.
    hash = Math.imul(hash, 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % lanes
}
