import { Tape } from '../../core/tape.js'
import { readDelete, readInsert, readTruncate, readUpdate } from './change.js'
import type { PgoutputHandler } from './handler.js'
import { MessageReader } from './reader.js'
import { RelationCache } from './relationCache.js'
import { readStreamAbort, readStreamCommit, readStreamStart, readStreamStop } from './stream.js'
import * as tag from './tag.js'
import { readAndKeepRelation, readBegin, readCommit, readMessage, readOrigin, readType } from './transaction.js'
import {
  readBeginPrepare,
  readCommitPrepared,
  readPrepare,
  readRollbackPrepared,
  readStreamPrepare,
} from './twoPhase.js'

/** What START_REPLICATION asked for, as far as it shows in the messages. */
export interface PgoutputOptions {
  readonly protocolVersion: 1 | 2 | 3 | 4
  readonly streaming: 'off' | 'on' | 'parallel'
}

/**
 * Reads pgoutput, protocol versions 1 to 4 ("Logical Replication Message Formats" in the PostgreSQL docs), message by
 * message, and calls a handler for each. Rows are left on the tape as offsets; a change costs no object.
 */
export class PgoutputDecoder {
  /** Where tuples are left. The caller may put another one in its place between two messages. */
  tape = new Tape()
  readonly #handler: PgoutputHandler
  readonly #streaming: boolean
  readonly #parallel: boolean
  readonly #reader = new MessageReader()
  readonly #relations = new RelationCache()

  constructor(handler: PgoutputHandler, options: PgoutputOptions) {
    const { protocolVersion, streaming } = options
    const needed = streaming === 'parallel' ? 4 : streaming === 'on' ? 2 : 1
    if (protocolVersion < needed) {
      throw new RangeError(`streaming '${streaming}' needs protocol version ${needed}, not ${protocolVersion}`)
    }
    this.#handler = handler
    this.#streaming = streaming !== 'off'
    this.#parallel = streaming === 'parallel'
  }

  /**
   * Decodes the one message at `bytes[p..end)`, the payload of an XLogData. Throws MALFORMED_MESSAGE; then neither the
   * tape nor what is known of the stream has changed, and the handler was not called.
   */
  decode(bytes: Uint8Array, p: number, end: number): void {
    const reader = this.#reader
    const relations = this.#relations
    const handler = this.#handler
    reader.take(bytes, p, end)
    if (p >= end) reader.fail('it is empty', p)
    switch (bytes[p]) {
      case tag.INSERT:
        readInsert(reader, relations, this.tape, handler)
        break
      case tag.UPDATE:
        readUpdate(reader, relations, this.tape, handler)
        break
      case tag.DELETE:
        readDelete(reader, relations, this.tape, handler)
        break
      case tag.BEGIN:
        readBegin(reader, handler)
        break
      case tag.COMMIT:
        readCommit(reader, handler)
        break
      case tag.RELATION:
        readAndKeepRelation(reader, relations, handler)
        break
      case tag.TYPE:
        readType(reader, handler)
        break
      case tag.TRUNCATE:
        readTruncate(reader, relations, handler)
        break
      case tag.MESSAGE:
        readMessage(reader, handler)
        break
      case tag.ORIGIN:
        readOrigin(reader, handler)
        break
      case tag.STREAM_START:
        if (!this.#streaming) reader.fail('streaming was not asked for', p)
        readStreamStart(reader, relations, handler)
        break
      case tag.STREAM_STOP:
        readStreamStop(reader, relations, handler)
        break
      case tag.STREAM_COMMIT:
        readStreamCommit(reader, relations, handler)
        break
      case tag.STREAM_ABORT:
        readStreamAbort(reader, relations, this.#parallel, handler)
        break
      case tag.BEGIN_PREPARE:
        readBeginPrepare(reader, handler)
        break
      case tag.PREPARE:
        readPrepare(reader, handler)
        break
      case tag.COMMIT_PREPARED:
        readCommitPrepared(reader, handler)
        break
      case tag.ROLLBACK_PREPARED:
        readRollbackPrepared(reader, handler)
        break
      case tag.STREAM_PREPARE:
        readStreamPrepare(reader, relations, handler)
        break
      default:
        reader.fail(`unknown tag 0x${bytes[p]!.toString(16).padStart(2, '0')}`, p)
    }
  }

  /** For a new connection: forgets open transactions and all relations, which the server will describe again. */
  reset(): void {
    this.#reader.reset()
    this.#relations.clear()
  }
}
