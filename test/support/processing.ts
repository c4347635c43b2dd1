import { codecFor } from '../../src/codec/codecFor.js'
import { encodeNdjson } from '../../src/codec/ndjson.js'
import { formatProblem, PIPELINE_INVALID, type PipelineProblem } from '../../src/core/pipelineErrors.js'
import type { RowBatch } from '../../src/core/rowBatch.js'
import { type ReplicaIdentity, Table } from '../../src/core/table.js'
import type { TailraceError } from '../../src/core/tailraceError.js'
import { parsePipeline } from '../../src/homes/pipeline/config/pipelineConfig.js'
import type { ScalarType } from '../../src/postgres/catalog/types.js'
import { ProcessorChain, type ProcessorEvent } from '../../src/processors/chain.js'
import { Batch } from '../../src/source/batch.js'
import { StreamPosition } from '../../src/source/position.js'

const TYPES = {
  int4: [23, 'integer'],
  int8: [20, 'bigint'],
  numeric: [1700, 'numeric'],
  text: [25, 'text'],
  uuid: [2950, 'uuid'],
  bool: [16, 'boolean'],
  date: [1082, 'date'],
  timestamptz: [1184, 'timestamp with time zone'],
  bytea: [17, 'bytea'],
  json: [114, 'json'],
  jsonb: [3802, 'jsonb'],
} as const

const scalars = new Map<string, ScalarType>()

/** `columns` as `id int4`; the key is the first one unless `key` says otherwise. */
export function tableOf(
  name: string,
  columns: readonly string[],
  { key = [0], identity = 'default' }: { readonly key?: readonly number[]; readonly identity?: ReplicaIdentity } = {},
): Table {
  const parts = columns.map((column) => column.split(' ') as [string, keyof typeof TYPES])
  return new Table({
    oid: 1,
    schema: 'public',
    name,
    columns: parts.map(([column, type]) => {
      const [typeOid, typeName] = TYPES[type]
      return { name: column, typeOid, typmod: -1, typeName, notNull: false, generated: false }
    }),
    codecs: parts.map(([, type]) => {
      const scalar: ScalarType = scalars.get(type) ?? {
        ...{ kind: 'scalar', oid: TYPES[type][0], schema: 'pg_catalog', name: type, variety: 'base', jsonCast: null },
      }
      scalars.set(type, scalar)
      return codecFor(scalar)
    }),
    selected: columns.map((_, index) => index),
    key,
    replicaIdentity: identity,
  })
}

const FILE = (processors: string) =>
  `source: {url: postgres://app@db/shop, tables: orders}\nsinks: {out: {type: stdout}}\nprocessors:\n${processors}\n`

/** Processors as a pipeline's file has them, each line behind `processors:`. */
export function chainOf(processors: string) {
  const config = parsePipeline('/etc/tailrace/shop.yaml', FILE(processors), {})
  const events: ProcessorEvent[] = []
  const whole = new ProcessorChain(config.processors!, (event) => events.push(event))
  /** At once, where nobody is waited for. */
  const chain = { process: (batch: Batch) => whole.process(batch) as Batch }
  return { chain, whole, events }
}

/** What `tailrace validate` says of them; the first one stands in line 4. */
export function mistakesIn(processors: string): string[] {
  try {
    parsePipeline('/etc/tailrace/shop.yaml', FILE(processors), {})
    return []
  } catch (error) {
    if (!PIPELINE_INVALID.is(error)) throw error
    const { problems } = (error as TailraceError).details as { problems: PipelineProblem[] }
    return problems.map((problem) => formatProblem('', problem).slice(1))
  }
}

const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
const END = { lsn: 1n, seq: 99, sub: 0, end: 2n, fingerprint: 0, snapshot: undefined }

export function batchOf(rows: RowBatch, more: Partial<ConstructorParameters<typeof Batch>[3]> = {}): Batch {
  rows.snapshotId ||= 's'
  return new Batch(rows, new StreamPosition(origin, END), () => {}, more)
}

/** The records as JSON has them, without what all have. */
export function recordsOf({ rows }: Batch): Record<string, unknown>[] {
  const lines = encodeNdjson(rows).toString().trimEnd()
  if (lines === '') return []
  return lines.split('\n').map((line) => {
    const { schema, table, lsn, seq, xid, committedAt, id, ...record } = JSON.parse(line)
    void [schema, table, lsn, seq, xid, committedAt, id]
    return record
  })
}
