import { type Lease, SpareMemory } from '../../core/spareMemory.js'
import type { Message } from './endpoint.js'
import type { Parcel } from './parcel.js'
import { batchId, headerId } from './requestId.js'

/** How several records stand in a body. */
export const BODIES = ['object', 'array', 'lines'] as const
export type BatchBody = (typeof BODIES)[number]

export interface BodyOptions {
  /** Undefined: each request is one record, as it is. */
  readonly batch: BatchBody | undefined
  /** The lines have the ids of their records. */
  readonly hasIds: boolean
}

const CLOSE = { object: Buffer.from(']}'), array: Buffer.from(']'), lines: Buffer.from('\n') }
const OPEN_ARRAY = [Buffer.from('[')]
/** Fewer bytes go out faster as one buffer than as several. */
const JOINED_BYTES = 1024 * 1024
/** Fewer cost nothing to have memory of their own. */
const FEW_BYTES = 16 * 1024

/** For bodies that are sent as one buffer: of what is not written nothing is there. */
export function bodyMemory(parallel: number): SpareMemory {
  return new SpareMemory(JOINED_BYTES, parallel)
}

/** A message, and memory that is for others when nobody looks into it any more. */
export interface LeasedMessage extends Message {
  readonly lease: Lease | undefined
}

/** What ends each line in the bytes of a run. */
export function separatorOf({ batch }: BodyOptions): number {
  return batch === 'lines' ? 0x0a : 0x2c
}

/** A request's body and headers. */
export function messageOf(parcel: Parcel, options: BodyOptions, memory: SpareMemory): LeasedMessage {
  const ids = parcel.ids()
  const { batch } = options
  if (batch === undefined) {
    return { id: headerId(ids[0]!), headers: headersOf(parcel), body: parcel.slices(), lease: undefined }
  }
  const id = batchId(ids)
  const open = batch === 'object' ? [Buffer.from(openObject(id, ids, options))] : batch === 'array' ? OPEN_ARRAY : []
  return {
    id,
    headers: {
      'content-type': batch === 'lines' ? 'application/x-ndjson' : 'application/json',
      'tailrace-records': String(parcel.count),
    },
    ...joined([...open, ...parcel.slices(), CLOSE[batch]], memory),
  }
}

function joined(parts: readonly Uint8Array[], memory: SpareMemory): Pick<LeasedMessage, 'body' | 'lease'> {
  const bytes = parts.reduce((sum, { length }) => sum + length, 0)
  if (bytes > JOINED_BYTES) return { body: parts, lease: undefined }
  if (bytes < FEW_BYTES) return { body: [Buffer.concat(parts, bytes)], lease: undefined }
  const lease = memory.take()
  let at = 0
  for (const part of parts) {
    lease.buffer.set(part, at)
    at += part.length
  }
  return { body: [lease.buffer.subarray(0, bytes)], lease }
}

function openObject(id: string, ids: readonly string[], { hasIds }: BodyOptions): string {
  const beside = hasIds ? '' : `,"ids":${JSON.stringify(ids)}`
  return `{"id":${JSON.stringify(id)}${beside},"data":[`
}

/** What a receiver may choose by without reading the body. */
function headersOf(parcel: Parcel): Record<string, string> {
  const [{ run, from }] = parcel.spans as [Parcel['spans'][number]]
  const { operation, table } = run.batch.at(run.records[from]!)!
  return {
    'content-type': 'application/json',
    'tailrace-operation': operation,
    ...(table !== undefined && {
      'tailrace-schema': encodeURIComponent(table.schema),
      'tailrace-table': encodeURIComponent(table.name),
    }),
  }
}
