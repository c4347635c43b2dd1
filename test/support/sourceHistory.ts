import fc from 'fast-check'
import { codecFor } from '../../src/codec/codecFor.js'
import { Table } from '../../src/core/table.js'
import type { ScalarType } from '../../src/postgres/catalog/types.js'
import type { Relation } from '../../src/postgres/pgoutput/relation.js'
import { ChangeCollector, type CollectorOptions } from '../../src/source/changeCollector.js'
import { type Origin, type Place, StreamPosition } from '../../src/source/position.js'
import { ShapeRegistry } from '../../src/source/shapeRegistry.js'
import { toBatch } from '../../src/source/toBatch.js'
import { type MadeRelation, made } from './sourceMessages.js'
import { recordsOf, type SourceRecord } from './sourceReader.js'

/** What a transaction does, one message of the plugin each. */
export type Step =
  | { readonly do: 'insert' | 'update' | 'delete'; readonly table: number; readonly row: number }
  | { readonly do: 'truncate'; readonly tables: readonly number[] }
  | { readonly do: 'message'; readonly prefix: string }
  /** The table has another column from here on. */
  | { readonly do: 'alter'; readonly table: number }

/** Bytes of WAL between the end of what came before and the commit record: 0 stands back to back with it. */
export type Happening =
  | { readonly kind: 'transaction'; readonly gap: number; readonly steps: readonly Step[] }
  /** A logical message outside any transaction. */
  | { readonly kind: 'message'; readonly gap: number; readonly prefix: string }
  /** WAL of others, after which a keepalive comes. */
  | { readonly kind: 'idle'; readonly gap: number }

export const CAPTURED = 2
/** The last one is published and not captured. */
const TABLES = 3
export const START = 0x1000n
const COMMIT_BYTES = 48n

/** One thing that a walsender sends: a message of the plugin, or a keepalive with its WAL end. */
export type Sent = { readonly wal: Buffer } | { readonly keepalive: bigint }

interface Recorded {
  readonly happening: Happening
  /** Where its (commit) record begins and ends. */
  readonly lsn: bigint
  readonly end: bigint
  /** Columns of each table before it. */
  readonly widths: readonly number[]
}

/** A server with one publication, which sends the same as often as it is asked. */
export class History {
  readonly #recorded: Recorded[] = []

  constructor(happenings: readonly Happening[]) {
    let at = START
    const widths = Array.from({ length: TABLES }, () => 2)
    for (const happening of happenings) {
      const lsn = at + BigInt(8 * happening.gap)
      const end = happening.kind === 'idle' ? lsn : lsn + COMMIT_BYTES
      this.#recorded.push({ happening, lsn, end, widths: [...widths] })
      if (happening.kind === 'transaction') {
        for (const step of happening.steps) if (step.do === 'alter') widths[step.table]!++
      }
      at = end
    }
  }

  /** What may be confirmed, exactly: where records end, and where keepalives say that all was read. */
  get ends(): bigint[] {
    return [START, ...this.#recorded.map(({ end }) => end)]
  }

  /** What START_REPLICATION from `lsn` gives: every record that begins there or later, whole transactions. */
  sendFrom(lsn: bigint): Sent[] {
    const sent: Sent[] = []
    // What the walsender has described on this connection.
    const described = new Map<number, number>()
    for (const recorded of this.#recorded) {
      if (recorded.happening.kind === 'idle') sent.push({ keepalive: recorded.end })
      else if (recorded.lsn >= lsn) for (const wal of messagesOf(recorded, described)) sent.push({ wal })
    }
    return sent
  }
}

function* messagesOf({ happening, lsn, end, widths }: Recorded, described: Map<number, number>): Generator<Buffer> {
  if (happening.kind === 'idle') return
  if (happening.kind === 'message') return yield made.message(false, end, happening.prefix, 'outside')
  const columns = [...widths]
  const describe = function* (table: number) {
    if (described.get(table) === columns[table]) return
    described.set(table, columns[table]!)
    yield made.relation(relationOf(table, columns[table]!))
  }
  yield made.begin(lsn, Number(lsn % 100_000n))
  for (const step of happening.steps) {
    switch (step.do) {
      case 'alter':
        columns[step.table]!++
        break
      case 'message':
        yield made.message(true, lsn - 8n, step.prefix, 'inside')
        break
      case 'truncate':
        for (const table of step.tables) yield* describe(table)
        yield made.truncate(step.tables.map(oidOf))
        break
      default: {
        const { table } = step
        const row = Array.from({ length: columns[table]! }, (_, column) => String(step.row + column))
        yield* describe(table)
        if (step.do === 'insert') yield made.insert(oidOf(table), row)
        else if (step.do === 'update') yield made.update(oidOf(table), row)
        else yield made.delete(oidOf(table), 'K', [String(step.row), ...row.slice(1).map(() => null)])
      }
    }
  }
  yield made.commit(lsn, end)
}

export function oidOf(table: number): number {
  return 20_000 + table
}

export function relationOf(table: number, width: number): MadeRelation {
  const columns = Array.from({ length: width }, (_, column) => ({ name: `c${column}`, key: column === 0 }))
  return { oid: oidOf(table), schema: 'public', name: `t${table}`, columns }
}

const INT8: ScalarType = {
  kind: 'scalar',
  oid: 20,
  schema: 'pg_catalog',
  name: 'int8',
  variety: 'base',
  jsonCast: null,
}

function compile({ oid, schema, name, columns, replicaIdentity }: Relation): Table {
  const codec = codecFor(INT8, { bigNumbers: 'number', bytea: 'hex', timestamps: 'string' })
  return new Table({
    oid,
    schema,
    name,
    columns: columns.map(({ name, typeOid, typmod }) => {
      return { name, typeOid, typmod, typeName: 'bigint', notNull: false, generated: false }
    }),
    codecs: columns.map(() => codec),
    selected: columns.map((_, index) => index),
    key: [0],
    replicaIdentity,
  })
}

export const ORIGIN: Origin = { system: '1', timeline: 1, database: 'shop', slot: 's', epoch: 1 }

export function idleAt(lsn: bigint): StreamPosition {
  return new StreamPosition(ORIGIN, place({ lsn, end: lsn }))
}

export function place(fields: Partial<Place> & Pick<Place, 'lsn'>): Place {
  return { seq: -1, sub: 0, end: undefined, fingerprint: 0, snapshot: undefined, ...fields }
}

export function registry(captures = ({ oid }: Relation) => oid < oidOf(CAPTURED)): ShapeRegistry {
  return new ShapeRegistry({
    captures,
    compile: async (relation) => compile(relation),
  })
}

export function collectorFrom(resumed: StreamPosition, options: Partial<CollectorOptions> = {}): ChangeCollector {
  return new ChangeCollector({
    origin: ORIGIN,
    shapes: registry(),
    resumed,
    messages: (prefix) => prefix === 'kept',
    onRedeliveryChange: 'stop',
    ...options,
  })
}

/** Takes it up as the stream's loop does; `amid` other bytes, as in a socket's chunk. */
export function collect(collector: ChangeCollector, sent: Sent): void {
  if ('wal' in sent) {
    const chunk = Buffer.concat([Buffer.from('amid'), sent.wal, Buffer.from('other bytes')])
    collector.collect(chunk, 4, 4 + sent.wal.length, walPlaceOf(sent.wal))
  } else if (collector.betweenTransactions) collector.idle(sent.keepalive)
}

/** Stands for where a change lies in the WAL, which is the same on every delivery, and hardly ever of two changes. */
function walPlaceOf(wal: Buffer): number {
  return wal.reduce((place, byte) => (Math.imul(place, 31) + byte) | 0, 0)
}

export interface TakenBatch {
  readonly records: SourceRecord[]
  readonly position: StreamPosition
  readonly confirmable: bigint
}

export async function takeBatch(collector: ChangeCollector): Promise<TakenBatch> {
  const collected = collector.take()
  const batch = await toBatch(collected, () => {})
  return { records: recordsOf(batch), position: collected.position, confirmable: collected.confirmable }
}

/** Everything that is sent, in one batch. */
export async function collectAll(collector: ChangeCollector, sent: readonly Sent[]): Promise<TakenBatch> {
  for (const one of sent) collect(collector, one)
  return takeBatch(collector)
}

const table = fc.integer({ min: 0, max: TABLES - 1 })
const prefix = fc.constantFrom('kept', 'dropped')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('insert' as const, 'update' as const, 'delete' as const),
      table,
      row: fc.integer({ min: 1, max: 10_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('truncate' as const), tables: fc.uniqueArray(table, { minLength: 1 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('message' as const), prefix }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('alter' as const), table }) },
)
const gap = fc.constantFrom(0, 0, 1, 20)

/** Histories of all kinds: transactions that are empty or back to back, messages at their borders, altered tables. */
export const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('transaction' as const), gap, steps: fc.array(step, { maxLength: 8 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('message' as const), gap, prefix }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('idle' as const), gap }) },
  ),
  { minLength: 1, maxLength: 8 },
)
