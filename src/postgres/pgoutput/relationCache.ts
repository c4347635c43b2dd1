import type { Relation } from './relation.js'

/** A relation as it came, which (sub-)transaction sent it (0 outside streamed blocks), and its number among all. */
interface Received {
  readonly relation: Relation
  readonly xid: number
  readonly number: number
}

/**
 * The relations that the server has described. What comes in a streamed block belongs to that transaction alone until
 * it commits: it may show columns that never come to be. The server counts alike (`streamed_txns` and
 * `cleanup_rel_sync_cache` in pgoutput.c): a streamed transaction gets a Relation message of its own for each relation,
 * again after each of its sub-transactions that is rolled back, and once it has committed none is sent for what it knew.
 */
export class RelationCache {
  #common = new Map<number, Received>()
  /** By the xid of the top-level transaction, for those that are being streamed. */
  #streamed = new Map<number, Map<number, Received>>()
  /** What the message being read may refer to: the common ones, or those of the streamed transaction. */
  #known = this.#common
  #last: Relation | null = null
  #received = 0

  /** The relation, as last described; undefined when it never was. */
  find(relid: number): Relation | undefined {
    const last = this.#last
    if (last !== null && last.oid === relid) return last
    const relation = this.#known.get(relid)?.relation
    if (relation !== undefined) this.#last = relation
    return relation
  }

  add(relation: Relation, xid: number): void {
    this.#received += 1
    this.#known.set(relation.oid, { relation, xid, number: this.#received })
    this.#last = relation
  }

  isStreamed(xid: number): boolean {
    return this.#streamed.has(xid)
  }

  /** Stream Start: until {@link leave} only the relations of transaction `xid` are known. */
  enter(xid: number): void {
    let streamed = this.#streamed.get(xid)
    if (streamed === undefined) {
      streamed = new Map()
      this.#streamed.set(xid, streamed)
    }
    this.#turnTo(streamed)
  }

  /** Stream Stop. */
  leave(): void {
    this.#turnTo(this.#common)
  }

  /**
   * Stream Commit: what the transaction sent is what holds from now on, unless something newer has come since: the
   * server, too, takes the last description that it sent for the known one.
   */
  merge(xid: number): void {
    for (const [relid, received] of this.#streamed.get(xid) ?? []) {
      const common = this.#common.get(relid)
      if (common === undefined || common.number < received.number) this.#common.set(relid, received)
    }
    this.drop(xid)
  }

  /** Stream Abort of the whole transaction; Stream Prepare, after which the server sends all relations again. */
  drop(xid: number): void {
    this.#streamed.delete(xid)
    this.#turnTo(this.#common)
  }

  /** Stream Abort of a sub-transaction: what it sent never was. */
  dropSubtransaction(xid: number, subxid: number): void {
    const streamed = this.#streamed.get(xid)
    if (streamed === undefined) return
    for (const [relid, received] of streamed) if (received.xid === subxid) streamed.delete(relid)
  }

  clear(): void {
    this.#common.clear()
    this.#streamed.clear()
    this.#turnTo(this.#common)
  }

  #turnTo(known: Map<number, Received>): void {
    this.#known = known
    this.#last = null
  }
}
