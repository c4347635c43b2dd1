import { POSITION_INVALID } from '../../core/errors.js'
import { formatLsn, parseLsn } from '../../postgres/lsn.js'
import type { ReadApart } from './apart.js'
import { EVERY_KEY, NOTHING_OVERTAKEN, type Overtaken } from './overtaken.js'
import { exactly } from './readings.js'
import { advance, type KeyText, PASSED, type Reading, type Stretch, UNREAD } from './stretches.js'

/** How far a snapshot is, as a position has it. Immutable. */
export interface SnapshotProgress {
  /** The part of every snapshot row's id that names the snapshot. */
  readonly id: string
  /** Counts its rows, and whatever else was delivered of it: makes positions increase. */
  readonly rows: number
  /** Absent in a snapshot that cannot be gone on with: it must begin anew. */
  readonly tables?: readonly TableProgress[] | undefined
  /** There may be a slot, made since: nothing was read from it, and all begins anew. */
  readonly intent?: boolean | undefined
  /** Transactions whose changes were left to rows still to be read: these must show them. */
  readonly unproved?: readonly UnprovedTransaction[] | undefined
}

/** How far the snapshot is behind each row of a batch. */
export type ProgressAt = ((index: number) => SnapshotProgress) & {
  /** The same as what is to be done with one progress: what positions of each row can be written with. */
  readonly steps?: ReadingSteps | undefined
}

/** Behind row `index` of a batch `base` is `index` + 1 rows further, and its table read up to that row's key. */
export interface ReadingSteps {
  readonly base: SnapshotProgress
  /** Undefined: of a table that is read whole, of which `base` says that it was begun. */
  readonly stretch:
    | {
        readonly oid: number
        readonly index: number
        readonly read: Reading | typeof PASSED
        /** Of row `index` of the batch. */
        readonly keyOf: (index: number) => KeyText | undefined
        /** Of the key, in the batch's table, where each of its rows has all of them. */
        readonly columns?: readonly number[]
      }
    | undefined
}

export interface TableProgress {
  readonly oid: number
  /** The part of its rows' ids that names the snapshot: another one each time that it is read. */
  readonly id: string
  /** As it was called when it began to be read. */
  readonly schema: string
  readonly name: string
  /** Columns of the key by which it is read; empty: it is read whole, in one snapshot. */
  readonly key: readonly string[]
  readonly stretches: readonly Stretch[]
  /** The consumer has had its rows before: it is told of every change. */
  readonly again: boolean
  /** It may have rows that this does not say it has: of those it is told when they are gone. */
  readonly more?: true | undefined
  /** Only rows for which this SQL holds. */
  readonly where: string | undefined
  /** A table that is read whole was begun: it comes again from its first row. */
  readonly begun: boolean
  readonly overtaken: Overtaken
  /** Rows that were read by themselves. */
  readonly apart: readonly ReadApart[]
  /** It is to be read once more, when the stream has passed what its rows show: their changes are judged until then. */
  readonly next?: NextReading | undefined
}

/** How a table is to be read once more, as `TableProgress` has it. */
export interface NextReading {
  readonly id: string
  readonly key: readonly string[]
  readonly where: string | undefined
}

export interface UnprovedTransaction {
  readonly xid: number
  readonly commitLsn: bigint
  readonly tables: readonly number[]
}

export function progressToJson({ id, rows, tables, intent, unproved = [] }: SnapshotProgress): object {
  return {
    id,
    rows,
    ...(tables !== undefined && { tables: tables.map(tableToJson) }),
    ...(intent === true && { intent }),
    ...(unproved.length > 0 && {
      unproved: unproved.map(({ xid, commitLsn, tables }) => [xid, formatLsn(commitLsn), tables]),
    }),
  }
}

function tableToJson(progress: TableProgress): object {
  const { oid, id, schema, name, key, stretches, again, more, where, begun, overtaken, apart, next } = progress
  return {
    oid,
    id,
    schema,
    name,
    key,
    stretches: stretches.map(({ to, read }) => ({
      ...(to !== undefined && { to }),
      ...(read === PASSED ? { read: true } : read !== undefined && readingToJson(read)),
    })),
    ...(again && { again }),
    ...(more && { more }),
    ...(where !== undefined && { where }),
    ...(begun && { begun }),
    ...(overtaken === EVERY_KEY && { overtaken }),
    ...(overtaken !== EVERY_KEY &&
      overtaken.length > 0 && { overtaken: overtaken.map(({ key, until }) => ({ key, until: formatLsn(until) })) }),
    ...(apart.length > 0 && {
      apart: apart.map(({ key, read, found }) => ({
        key,
        ...readingToJson(read),
        ...(found !== undefined && { found }),
      })),
    }),
    ...(next !== undefined && { next }),
  }
}

function readingToJson({ snapshot, until, exact }: Reading): object {
  return { snapshot, until: formatLsn(until), ...(exact && { exact }) }
}

type Fields = Record<string, unknown>

/**
 * What stands in a progress, as `"upTo":…`, behind what `progressToJson` gives of `steps.base`, before the number of rows
 * and, with `"to":[…]`, the row's key.
 */
export function upToText({ stretch }: ReadingSteps): string {
  if (stretch === undefined) return '"upTo":{"rows":'
  const { oid, index, read } = stretch
  const reading = JSON.stringify(read === PASSED ? true : readingToJson(read))
  return `"upTo":{"oid":${oid},"stretch":${index},"read":${reading},"rows":`
}

function withUpTo(progress: SnapshotProgress, stored: unknown): SnapshotProgress {
  const upTo = object(stored, 'upTo')
  const rows = whole(upTo.rows, 'upTo')
  if (upTo.oid === undefined) return { ...progress, rows }
  const index = whole(upTo.stretch, 'upTo')
  const read = upTo.read === true ? PASSED : parseReading(object(upTo.read, 'upTo'))
  const to = texts(upTo.to, 'upTo')
  const table = progress.tables?.find(({ oid }) => oid === upTo.oid)
  if (table?.stretches[index] === undefined) return invalid('upTo')
  const behind = { ...table, stretches: advance(table.stretches, index, to, read) }
  return { ...progress, rows, tables: progress.tables!.map((one) => (one === table ? behind : one)) }
}

/** Reads what `progressToJson` gave; POSITION_INVALID for anything else. */
export function parseProgress(stored: unknown): SnapshotProgress {
  const fields = object(stored, 'snapshot')
  const { tables, unproved, upTo } = fields
  const progress = {
    id: text(fields.id, 'id'),
    rows: whole(fields.rows, 'rows'),
    ...(tables !== undefined && { tables: list(tables, 'tables').map(parseTable) }),
    ...(fields.intent === true && { intent: true }),
    ...(unproved !== undefined && { unproved: list(unproved, 'unproved').map(parseUnproved) }),
  }
  return upTo === undefined ? progress : withUpTo(progress, upTo)
}

function parseTable(stored: unknown): TableProgress {
  const fields = object(stored, 'tables')
  const stretches = list(fields.stretches, 'stretches').map(parseStretch)
  if (stretches.length === 0) invalid('stretches')
  return {
    oid: whole(fields.oid, 'oid'),
    id: text(fields.id, 'id'),
    schema: text(fields.schema, 'schema'),
    name: text(fields.name, 'name'),
    key: texts(fields.key, 'key'),
    stretches,
    again: fields.again === true,
    ...(fields.more === true && { more: true }),
    where: fields.where === undefined ? undefined : text(fields.where, 'where'),
    begun: fields.begun === true,
    overtaken: parseOvertaken(fields.overtaken),
    apart: list(fields.apart ?? [], 'apart').map((one) => {
      const { key, found, ...read } = object(one, 'apart')
      return {
        key: texts(key, 'key'),
        read: parseReading(read),
        ...(typeof found === 'boolean' && { found }),
      }
    }),
    ...(fields.next !== undefined && { next: parseNext(fields.next) }),
  }
}

function parseOvertaken(stored: unknown): Overtaken {
  if (stored === undefined) return NOTHING_OVERTAKEN
  if (stored === EVERY_KEY) return EVERY_KEY
  return list(stored, 'overtaken').map((one) => {
    const { key, until } = object(one, 'overtaken')
    return { key: texts(key, 'key'), until: parseUntil(until) }
  })
}

function parseNext(stored: unknown): NextReading {
  const { id, key, where } = object(stored, 'next')
  return { id: text(id, 'id'), key: texts(key, 'key'), where: where === undefined ? undefined : text(where, 'where') }
}

function parseStretch(stored: unknown): Stretch {
  const fields = object(stored, 'stretches')
  const to = fields.to === undefined ? undefined : texts(fields.to, 'to')
  if (fields.read === true) return { to, read: PASSED }
  return { to, read: fields.snapshot === undefined ? undefined : parseReading(fields) }
}

function parseReading({ snapshot, until, exact }: Fields): Reading {
  return {
    snapshot: text(snapshot, 'snapshot'),
    until: parseUntil(until),
    ...(exact === true && { exact }),
  }
}

function parseUntil(stored: unknown): bigint {
  return parseLsn(text(stored, 'until')) ?? invalid('until')
}

function parseUnproved(stored: unknown): UnprovedTransaction {
  const [xid, commitLsn, tables] = list(stored, 'unproved')
  const lsn = parseLsn(text(commitLsn, 'unproved'))
  return {
    xid: whole(xid, 'unproved'),
    commitLsn: lsn ?? invalid('unproved'),
    tables: list(tables, 'unproved').map((oid) => whole(oid, 'unproved')),
  }
}

function invalid(name: string): never {
  throw POSITION_INVALID({ problem: `its snapshot's "${name}" cannot be read` })
}

function object(value: unknown, name: string): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : invalid(name)
}

function list(value: unknown, name: string): readonly unknown[] {
  return Array.isArray(value) ? value : invalid(name)
}

function text(value: unknown, name: string): string {
  return typeof value === 'string' ? value : invalid(name)
}

function texts(value: unknown, name: string): readonly string[] {
  return list(value, name).map((one) => text(one, name))
}

function whole(value: unknown, name: string): number {
  return Number.isSafeInteger(value) ? (value as number) : invalid(name)
}

/**
 * Its rows as they are to be read where the consumer may have more of them than this says: rows that it got behind its last
 * position, and that are gone by the time they are read again. What becomes of the others they show themselves. Where it is
 * read whole, by no key, changes of the records' keys are not seen: there the consumer is told of all that happens.
 *
 * `keyed`: its records have a key; without one nobody could tell which row is gone.
 */
export function mayHaveMore(table: TableProgress, keyed: boolean): TableProgress {
  if (table.key.length === 0) return keyed ? { ...table, again: true } : table
  return table.more ? table : { ...exactly(table), more: true }
}

/** A table that is to be read from its beginning. */
export function unreadTable(
  table: Pick<TableProgress, 'oid' | 'id' | 'schema' | 'name' | 'key'>,
  { again = false, where }: { readonly again?: boolean; readonly where?: string | undefined } = {},
): TableProgress {
  return { ...table, stretches: UNREAD, apart: [], begun: false, overtaken: NOTHING_OVERTAKEN, again, where }
}
