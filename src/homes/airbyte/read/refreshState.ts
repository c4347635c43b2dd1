import { AIRBYTE_STATE_INVALID } from '../../../core/airbyteErrors.js'
import type { ServerFacts } from '../../../postgres/catalog/server.js'
import { type PagesRead, type Piece, withPages } from '../../../source/snapshot/pieces.js'
import { type Fields, isFields } from '../readJson.js'

/**
 * Which sync a full refresh belongs to: a later attempt of the same one goes on with it, any other begins anew, and one of
 * which nobody says whether it is the same.
 */
export interface Sync {
  /** `sync_id` and `generation_id` of the catalog; undefined: the client does not say. */
  readonly sync: number | undefined
  readonly generation: number | undefined
}

/** What a full refresh that is not finished has read, by OID of the relation. */
export interface Refresh {
  /** The server's identity, and its timeline: places in files, and numbers of transactions, are of one history. */
  readonly system: string
  readonly timeline: number
  readonly of: Sync
  readonly read: ReadonlyMap<number, PagesRead>
}

export function beginRefresh({ systemIdentifier, timeline }: ServerFacts, of: Sync): Refresh {
  return { system: systemIdentifier, timeline, of, read: new Map() }
}

/** `saved`, where it is of the same sync and history; else the beginning. Pure. */
export function goOnWith(saved: Refresh | undefined, begin: Refresh): Refresh {
  if (saved === undefined || saved.system !== begin.system || saved.timeline !== begin.timeline) return begin
  const known = [
    [saved.of.sync, begin.of.sync],
    [saved.of.generation, begin.of.generation],
  ].filter((both) => !both.includes(undefined))
  if (known.length === 0 || known.some(([then, now]) => then !== now)) return begin
  return { ...begin, read: saved.read }
}

/** With this piece too. Pure. */
export function withPiece(refresh: Refresh, { relation, read: { file, since, pages } }: Piece): Refresh {
  const known = refresh.read.get(relation)
  const same = known?.file === file && known.since === since
  const joined = { file, since, pages: withPages(same ? known.pages : [], pages) }
  return { ...refresh, read: new Map([...refresh.read, [relation, joined]]) }
}

/** As a stream's state has it. */
export function refreshToJson({ system, timeline, of, read }: Refresh): object {
  const { sync, generation } = of
  const relations = [...read].map(([oid, { file, since, pages }]) => ({ oid, file, since: String(since), pages }))
  return { version: 1, mode: 'refreshing', refresh: { system, timeline, sync, generation, relations } }
}

/** Whether the state of a stream is of a full refresh that is not finished. */
export function isRefreshing(state: Fields): boolean {
  return state.mode === 'refreshing'
}

export function parseRefresh(state: Fields): Refresh {
  const { refresh } = state
  if (!isFields(refresh) || !Array.isArray(refresh.relations)) throw damaged()
  const { system, timeline, sync, generation } = refresh
  if (typeof system !== 'string' || !Number.isSafeInteger(timeline)) throw damaged()
  const read = (refresh.relations as readonly unknown[]).map(parseRelation)
  return {
    system,
    timeline: timeline as number,
    of: { sync: id(sync), generation: id(generation) },
    read: new Map(read),
  }
}

function parseRelation(relation: unknown): readonly [number, PagesRead] {
  if (!isFields(relation)) throw damaged()
  const { oid, file, since, pages } = relation
  if (!isNumber(oid) || typeof file !== 'string' || typeof since !== 'string' || !/^\d{1,20}$/.test(since))
    throw damaged()
  if (!Array.isArray(pages)) throw damaged()
  const parsed = (pages as readonly unknown[]).map((one) => {
    if (!Array.isArray(one) || !isNumber(one[0]) || !isNumber(one[1])) throw damaged()
    return [one[0], one[1]] as const
  })
  return [oid, { file, since: BigInt(since), pages: withPages([], parsed) }]
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Those of a catalog or a state; whoever has none may write null. */
export function id(value: unknown): number | undefined {
  return Number.isSafeInteger(value) ? (value as number) : undefined
}

function damaged() {
  return AIRBYTE_STATE_INVALID({ problem: 'what it says of a full refresh is damaged' })
}
