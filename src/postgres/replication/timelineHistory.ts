import { type Lsn, parseLsn } from '../lsn.js'
import type { Queryable } from '../queryable.js'

/**
 * Where the history of `timeline` left an older one, by number of the older: TIMELINE_HISTORY ("Streaming Replication
 * Protocol" in the PostgreSQL docs). Only for timelines above 1: the first has no history file.
 */
export async function timelineHistory(replication: Queryable, timeline: number): Promise<ReadonlyMap<number, Lsn>> {
  const [row] = await replication.query<{ content: Uint8Array | string }>(`TIMELINE_HISTORY ${timeline}`)
  return parseTimelineHistory(typeof row!.content === 'string' ? row!.content : Buffer.from(row!.content).toString())
}

/** Lines of timeline, place and reason, parted by blanks or tabs; comments begin with a #. */
export function parseTimelineHistory(text: string): ReadonlyMap<number, Lsn> {
  const left = new Map<number, Lsn>()
  for (const line of text.split('\n')) {
    const [, timeline, place] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? []
    const lsn = parseLsn(place ?? '')
    if (timeline !== undefined && lsn !== undefined) left.set(Number(timeline), lsn)
  }
  return left
}
