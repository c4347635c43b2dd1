import type { ReplicaIdentity } from '../../src/core/table.js'
import type { PgoutputOptions } from '../../src/postgres/pgoutput/decoder.js'

/** A value's bytes as latin1, null, or undefined: unchanged. */
export type PlainTuple = (string | null | undefined)[]

export interface PlainRelation {
  oid: number
  schema: string
  name: string
  replicaIdentity: ReplicaIdentity
  columns: { name: string; typeOid: number; typmod: number; partOfKey: boolean }[]
}

type Prepared = { endLsn: bigint; xid: number; gid: string }

/** One message as a plain object; what both the twin and the recorder of the real decoder make of it. */
export type PgoutputEvent =
  | { kind: 'begin'; finalLsn: bigint; commitTime: bigint; xid: number }
  | { kind: 'commit'; commitLsn: bigint; endLsn: bigint; commitTime: bigint }
  | { kind: 'origin'; originLsn: bigint; name: string }
  | { kind: 'relation'; relation: PlainRelation; xid: number }
  | { kind: 'type'; oid: number; schema: string; name: string; xid: number }
  | { kind: 'insert'; relation: PlainRelation; new: PlainTuple; length: number; xid: number }
  | {
      kind: 'update'
      relation: PlainRelation
      oldKind: '' | 'K' | 'O'
      old: PlainTuple
      new: PlainTuple
      length: number
      xid: number
    }
  | { kind: 'delete'; relation: PlainRelation; oldKind: 'K' | 'O'; old: PlainTuple; length: number; xid: number }
  | { kind: 'truncate'; relations: PlainRelation[]; options: number; length: number; xid: number }
  | {
      kind: 'message'
      transactional: boolean
      lsn: bigint
      prefix: string
      content: string
      length: number
      xid: number
    }
  | { kind: 'streamStart'; xid: number; first: boolean }
  | { kind: 'streamStop' }
  | { kind: 'streamCommit'; xid: number; commitLsn: bigint; endLsn: bigint; commitTime: bigint }
  | { kind: 'streamAbort'; xid: number; subxid: number; abortLsn: bigint; abortTime: bigint }
  | ({ kind: 'beginPrepare' | 'prepare' | 'streamPrepare'; prepareLsn: bigint; prepareTime: bigint } & Prepared)
  | ({ kind: 'commitPrepared'; commitLsn: bigint; commitTime: bigint } & Prepared)
  | {
      kind: 'rollbackPrepared'
      prepareEndLsn: bigint
      rollbackEndLsn: bigint
      prepareTime: bigint
      rollbackTime: bigint
      xid: number
      gid: string
    }

type Known = Map<number, { relation: PlainRelation; xid: number; at: number }>
const IDENTITIES: Record<string, ReplicaIdentity> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }

/**
 * The slow twin of the decoder: written from "Logical Replication Message Formats" without a look at the fast one, for
 * plainness. Throws whatever comes on bytes that are not in order, and then has changed nothing.
 */
export class PgoutputTwin {
  readonly #options: PgoutputOptions
  #place: 'outside' | 'transaction' | 'prepared' | 'stream' = 'outside'
  #finalLsn = 0n
  #common: Known = new Map()
  #streamed = new Map<number, Known>()
  #current: Known = this.#common
  #clock = 0

  constructor(options: PgoutputOptions) {
    this.#options = options
  }

  decode(message: Uint8Array): PgoutputEvent {
    const fields = new Fields(message)
    const [event, apply] = this.#read(fields, fields.char())
    fields.mustEnd()
    apply?.()
    return event
  }

  #read(f: Fields, tag: string): [PgoutputEvent, (() => void)?] {
    const inStream = this.#place === 'stream'
    const ownXid = () => (inStream ? f.xid() : 0)
    const length = f.size - (inStream ? 4 : 0)
    switch (tag) {
      case 'B': {
        must(this.#place === 'outside')
        const event = { kind: 'begin', finalLsn: f.lsn(), commitTime: f.int64(), xid: f.xid() } as const
        return [event, () => this.#enter('transaction', event.finalLsn)]
      }
      case 'C': {
        must(this.#place === 'transaction' && f.uint8() === 0)
        const event = { kind: 'commit', commitLsn: f.uint64(), endLsn: f.uint64(), commitTime: f.int64() } as const
        must(event.commitLsn === this.#finalLsn)
        return [event, () => this.#enter('outside')]
      }
      case 'O':
        return [{ kind: 'origin', originLsn: f.uint64(), name: f.string() }]
      case 'R': {
        const xid = ownXid()
        const relation = f.relation()
        const known = this.#current
        return [
          { kind: 'relation', relation, xid },
          () => known.set(relation.oid, { relation, xid, at: ++this.#clock }),
        ]
      }
      case 'Y':
        return [{ kind: 'type', xid: ownXid(), oid: f.uint32(), schema: f.string() || 'pg_catalog', name: f.string() }]
      case 'I': {
        const xid = ownXid()
        const relation = this.#relation(f)
        must(f.char() === 'N')
        return [{ kind: 'insert', relation, new: f.tuple(relation), length, xid }]
      }
      case 'U': {
        const xid = ownXid()
        const relation = this.#relation(f)
        let next = f.char()
        const oldKind = next === 'K' || next === 'O' ? next : ''
        const old = oldKind === '' ? [] : f.tuple(relation)
        if (oldKind !== '') next = f.char()
        must(next === 'N')
        return [{ kind: 'update', relation, oldKind, old, new: f.tuple(relation), length, xid }]
      }
      case 'D': {
        const xid = ownXid()
        const relation = this.#relation(f)
        const oldKind = f.char()
        must(oldKind === 'K' || oldKind === 'O')
        return [{ kind: 'delete', relation, oldKind: oldKind as 'K' | 'O', old: f.tuple(relation), length, xid }]
      }
      case 'T': {
        const xid = ownXid()
        const count = f.int32()
        const options = f.uint8()
        must(count >= 0 && options <= 3)
        const relations: PlainRelation[] = []
        for (let i = 0; i < count; i++) relations.push(this.#relation(f))
        return [{ kind: 'truncate', relations, options, length, xid }]
      }
      case 'M': {
        const xid = ownXid()
        const flags = f.uint8()
        must(flags <= 1)
        const event = { lsn: f.uint64(), prefix: f.string(), content: f.bytes(f.int32()) }
        return [{ kind: 'message', transactional: flags === 1, ...event, length, xid }]
      }
      case 'S': {
        must(this.#place === 'outside' && this.#options.streaming !== 'off')
        const xid = f.xid()
        const first = f.uint8()
        must(first === (this.#streamed.has(xid) ? 0 : 1))
        return [{ kind: 'streamStart', xid, first: first === 1 }, () => this.#startBlock(xid)]
      }
      case 'E':
        must(inStream)
        return [{ kind: 'streamStop' }, () => this.#enter('outside')]
      case 'c': {
        must(this.#place === 'outside')
        const xid = f.streamedXid(this.#streamed)
        must(f.uint8() === 0)
        const event = { commitLsn: f.lsn(), endLsn: f.uint64(), commitTime: f.int64() }
        return [{ kind: 'streamCommit', xid, ...event }, () => this.#merge(xid)]
      }
      case 'A': {
        must(this.#place === 'outside')
        const xid = f.streamedXid(this.#streamed)
        const subxid = f.xid()
        const parallel = this.#options.streaming === 'parallel'
        const event = { abortLsn: parallel ? f.uint64() : 0n, abortTime: parallel ? f.int64() : 0n }
        return [{ kind: 'streamAbort', xid, subxid, ...event }, () => this.#abort(xid, subxid)]
      }
      case 'b': {
        must(this.#place === 'outside')
        const event = f.prepare()
        return [{ kind: 'beginPrepare', ...event }, () => this.#enter('prepared', event.prepareLsn)]
      }
      case 'P': {
        must(this.#place === 'prepared' && f.uint8() === 0)
        const event = f.prepare()
        must(event.prepareLsn === this.#finalLsn)
        return [{ kind: 'prepare', ...event }, () => this.#enter('outside')]
      }
      case 'K': {
        must(this.#place === 'outside' && f.uint8() === 0)
        const { prepareLsn: commitLsn, prepareTime: commitTime, ...rest } = f.prepare()
        return [{ kind: 'commitPrepared', commitLsn, commitTime, ...rest }]
      }
      case 'r': {
        must(this.#place === 'outside' && f.uint8() === 0)
        const lsns = { prepareEndLsn: f.lsn(), rollbackEndLsn: f.lsn() }
        const times = { prepareTime: f.int64(), rollbackTime: f.int64() }
        return [{ kind: 'rollbackPrepared', ...lsns, ...times, xid: f.xid(), gid: f.string() }]
      }
      case 'p': {
        must(this.#place === 'outside' && f.uint8() === 0)
        const event = f.prepare()
        must(this.#streamed.has(event.xid))
        return [{ kind: 'streamPrepare', ...event }, () => this.#streamed.delete(event.xid)]
      }
      default:
        throw new Error(`unknown tag ${tag}`)
    }
  }

  #relation(f: Fields): PlainRelation {
    const known = this.#current.get(f.uint32())
    if (known === undefined) throw new Error('unknown relation')
    return known.relation
  }

  #enter(place: 'outside' | 'transaction' | 'prepared', finalLsn = 0n): void {
    this.#place = place
    this.#finalLsn = finalLsn
    this.#current = this.#common
  }

  #startBlock(xid: number): void {
    this.#place = 'stream'
    if (!this.#streamed.has(xid)) this.#streamed.set(xid, new Map())
    this.#current = this.#streamed.get(xid)!
  }

  #merge(xid: number): void {
    for (const [oid, own] of this.#streamed.get(xid)!) {
      if ((this.#common.get(oid)?.at ?? 0) < own.at) this.#common.set(oid, own)
    }
    this.#streamed.delete(xid)
  }

  #abort(xid: number, subxid: number): void {
    if (xid === subxid) this.#streamed.delete(xid)
    else for (const [oid, own] of this.#streamed.get(xid)!) if (own.xid === subxid) this.#streamed.get(xid)!.delete(oid)
  }
}

/** The fields of one message in turn. */
class Fields {
  readonly size: number
  readonly #view: DataView
  #p = 0

  constructor(message: Uint8Array) {
    this.size = message.length
    this.#view = new DataView(message.buffer, message.byteOffset, message.length)
  }

  mustEnd(): void {
    must(this.#p === this.size)
  }

  uint8 = () => this.#view.getUint8(this.#advance(1))
  uint16 = () => this.#view.getUint16(this.#advance(2))
  int32 = () => this.#view.getInt32(this.#advance(4))
  uint32 = () => this.#view.getUint32(this.#advance(4))
  int64 = () => this.#view.getBigInt64(this.#advance(8))
  uint64 = () => this.#view.getBigUint64(this.#advance(8))
  char = () => String.fromCharCode(this.uint8())

  xid(): number {
    const xid = this.uint32()
    must(xid !== 0)
    return xid
  }

  streamedXid(streamed: Map<number, Known>): number {
    const xid = this.xid()
    must(streamed.has(xid))
    return xid
  }

  lsn(): bigint {
    const lsn = this.uint64()
    must(lsn !== 0n)
    return lsn
  }

  bytes(length: number): string {
    must(length >= 0 && this.#p + length <= this.size)
    const start = this.#view.byteOffset + this.#advance(length)
    return Buffer.from(this.#view.buffer as ArrayBuffer, start, length).toString('latin1')
  }

  string(): string {
    let text = ''
    for (let char = this.char(); char !== '\0'; char = this.char()) text += char
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, 'latin1'))
  }

  prepare() {
    const lsns = { prepareLsn: this.lsn(), endLsn: this.lsn() }
    return { ...lsns, prepareTime: this.int64(), xid: this.xid(), gid: this.string() }
  }

  relation(): PlainRelation {
    const relation = { oid: this.uint32(), schema: this.string() || 'pg_catalog', name: this.string() }
    const replicaIdentity = IDENTITIES[this.char()]
    if (replicaIdentity === undefined) throw new Error('unknown replica identity')
    const columns = Array.from({ length: this.uint16() }, () => {
      const flags = this.uint8()
      must(flags <= 1)
      return { name: this.string(), typeOid: this.uint32(), typmod: this.int32(), partOfKey: flags === 1 }
    })
    return { ...relation, replicaIdentity, columns }
  }

  tuple(relation: PlainRelation): PlainTuple {
    must(this.uint16() === relation.columns.length)
    return relation.columns.map(() => {
      const kind = this.char()
      if (kind === 'n') return null
      if (kind === 'u') return undefined
      must(kind === 't')
      return this.bytes(this.int32())
    })
  }

  #advance(count: number): number {
    this.#p += count
    return this.#p - count
  }
}

function must(condition: boolean): void {
  if (!condition) throw new Error('out of order')
}
