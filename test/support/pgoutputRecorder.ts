import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../src/core/tape.js'
import { PgoutputDecoder, type PgoutputOptions } from '../../src/postgres/pgoutput/decoder.js'
import { KEY_TUPLE, type OldKind, type PgoutputHandler } from '../../src/postgres/pgoutput/handler.js'
import type { Relation } from '../../src/postgres/pgoutput/relation.js'
import type { PgoutputEvent, PlainRelation, PlainTuple } from './pgoutputTwin.js'

type Guard = (bytes: Uint8Array, start: number, end: number) => Uint8Array

/** The real decoder with a handler that makes plain objects, to be compared with the twin's. */
export class PgoutputRecorder {
  readonly decoder: PgoutputDecoder
  #event: PgoutputEvent | undefined
  #bytes = new Uint8Array(0)
  #start = 0
  #end = 0

  constructor(options: PgoutputOptions) {
    this.decoder = new PgoutputDecoder(this.#handler(), options)
  }

  /**
   * Decodes the message amid other bytes, as in a socket's chunk, with rows on the tape already. Offsets outside the
   * message, two calls of the handler or none, and traces of a message that failed are errors of another kind. `guard`
   * gives the bytes that the decoder sees, to watch what it does with them.
   */
  decode(message: Uint8Array, guard: Guard = (bytes) => bytes): PgoutputEvent {
    this.#bytes = new Uint8Array(Buffer.concat([FILLING, message, FILLING]))
    this.#start = FILLING.length
    this.#end = FILLING.length + message.length
    this.#event = undefined
    const { tape } = this.decoder
    tape.values.set(ON_THE_TAPE)
    tape.length = ON_THE_TAPE.length
    try {
      this.decoder.decode(guard(this.#bytes, this.#start, this.#end), this.#start, this.#end)
    } catch (error) {
      if (this.#event !== undefined) throw new Error('an event came of a message that failed', { cause: error })
      if (tape.length !== ON_THE_TAPE.length) throw new Error('a message that failed is on the tape', { cause: error })
      throw error
    }
    if (ON_THE_TAPE.some((value, at) => tape.values[at] !== value)) throw new Error('the rows before were changed')
    if (this.#event === undefined) throw new Error('the handler was not called')
    return this.#event
  }

  #emit(event: PgoutputEvent): void {
    if (this.#event !== undefined) throw new Error(`${event.kind}: a second event of one message`)
    this.#event = event
  }

  #tuple(relation: Relation, at: number): PlainTuple {
    const { values, length } = this.decoder.tape
    if (at < 0 || at + 2 * relation.columns.length > length) throw new Error('the tuple is not on the tape')
    return relation.columns.map((_, column) => {
      const start = values[at + 2 * column]!
      const end = values[at + 2 * column + 1]!
      if (start === NULL_COLUMN) return null
      if (start === UNCHANGED_COLUMN) return undefined
      if (start < this.#start || start > end || end > this.#end) throw new Error(`[${start}, ${end}) is outside`)
      return Buffer.from(this.#bytes.subarray(start, end)).toString('latin1')
    })
  }

  #handler(): PgoutputHandler {
    return {
      begin: (finalLsn, commitTime, xid) => this.#emit({ kind: 'begin', finalLsn, commitTime, xid }),
      commit: (commitLsn, endLsn, commitTime) => this.#emit({ kind: 'commit', commitLsn, endLsn, commitTime }),
      origin: (originLsn, name) => this.#emit({ kind: 'origin', originLsn, name }),
      relation: (relation, xid) => this.#emit({ kind: 'relation', relation: plain(relation), xid }),
      type: (oid, schema, name, xid) => this.#emit({ kind: 'type', oid, schema, name, xid }),
      insert: (relation, newAt, length, xid) =>
        this.#emit({ kind: 'insert', relation: plain(relation), new: this.#tuple(relation, newAt), length, xid }),
      update: (relation, oldKind, oldAt, newAt, length, xid) =>
        this.#emit({
          kind: 'update',
          relation: plain(relation),
          oldKind: letter(oldKind),
          old: oldAt === -1 ? [] : this.#tuple(relation, oldAt),
          new: this.#tuple(relation, newAt),
          length,
          xid,
        }),
      delete: (relation, oldKind, oldAt, length, xid) =>
        this.#emit({
          kind: 'delete',
          relation: plain(relation),
          oldKind: letter(oldKind) as 'K' | 'O',
          old: this.#tuple(relation, oldAt),
          length,
          xid,
        }),
      truncate: (relations, options, length, xid) =>
        this.#emit({ kind: 'truncate', relations: relations.map(plain), options, length, xid }),
      message: (transactional, lsn, prefix, bytes, start, end, length, xid) => {
        const content = Buffer.from(bytes.subarray(start, end)).toString('latin1')
        this.#emit({ kind: 'message', transactional, lsn, prefix, content, length, xid })
      },
      streamStart: (xid, first) => this.#emit({ kind: 'streamStart', xid, first }),
      streamStop: () => this.#emit({ kind: 'streamStop' }),
      streamCommit: (xid, commitLsn, endLsn, commitTime) =>
        this.#emit({ kind: 'streamCommit', xid, commitLsn, endLsn, commitTime }),
      streamAbort: (xid, subxid, abortLsn, abortTime) =>
        this.#emit({ kind: 'streamAbort', xid, subxid, abortLsn, abortTime }),
      beginPrepare: (prepareLsn, endLsn, prepareTime, xid, gid) =>
        this.#emit({ kind: 'beginPrepare', prepareLsn, endLsn, prepareTime, xid, gid }),
      prepare: (prepareLsn, endLsn, prepareTime, xid, gid) =>
        this.#emit({ kind: 'prepare', prepareLsn, endLsn, prepareTime, xid, gid }),
      commitPrepared: (commitLsn, endLsn, commitTime, xid, gid) =>
        this.#emit({ kind: 'commitPrepared', commitLsn, endLsn, commitTime, xid, gid }),
      rollbackPrepared: (prepareEndLsn, rollbackEndLsn, prepareTime, rollbackTime, xid, gid) =>
        this.#emit({ kind: 'rollbackPrepared', prepareEndLsn, rollbackEndLsn, prepareTime, rollbackTime, xid, gid }),
      streamPrepare: (prepareLsn, endLsn, prepareTime, xid, gid) =>
        this.#emit({ kind: 'streamPrepare', prepareLsn, endLsn, prepareTime, xid, gid }),
    }
  }
}

const ON_THE_TAPE = [17, 23, NULL_COLUMN, NULL_COLUMN]

/** Would be read as something sensible by a decoder that runs past its message: NULLs, zeros, terminators. */
const FILLING = Buffer.from('nnn\0\0\0\0t\0\0\0\0N\0\0', 'latin1')

function plain(relation: Relation): PlainRelation {
  const { oid, schema, name, replicaIdentity, columns } = relation
  return { oid, schema, name, replicaIdentity, columns: columns.map((column) => ({ ...column })) }
}

function letter(oldKind: OldKind): '' | 'K' | 'O' {
  return oldKind === 0 ? '' : oldKind === KEY_TUPLE ? 'K' : 'O'
}
