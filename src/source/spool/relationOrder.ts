/** A Relation message of a streamed transaction, in protocol 1's form. */
interface Described {
  readonly oid: number
  readonly bytes: Buffer
  /** Among all that came on this connection. */
  readonly number: number
  /** Where it lies in the transaction. */
  readonly position: number
}

/**
 * Which description of a relation is the last. A streamed transaction's own come when it has committed, late; the
 * server takes the last one that it *sent* for the known one (see `RelationCache`), which may have been another, sent
 * meanwhile. Those are to be told once more behind the transaction.
 */
export class RelationOrder {
  /** What came since the oldest open transaction began, outside streamed blocks or with one that has committed. */
  readonly #common = new Map<number, { readonly number: number; readonly bytes: Buffer }>()
  #number = 0

  /** A Relation message outside streamed blocks, while streamed transactions are open. */
  common(bytes: Buffer, start: number, end: number): void {
    this.#common.set(oidOf(bytes, start), { number: ++this.#number, bytes: Buffer.from(bytes.subarray(start, end)) })
  }

  /** One inside a block of the transaction that has `relations`. */
  streamed(relations: StreamedRelations, bytes: Buffer, start: number, end: number, position: number): void {
    const oid = oidOf(bytes, start)
    const number = ++this.#number
    const before = relations.last(oid)
    const same = before?.bytes.equals(bytes.subarray(start, end)) === true
    // Said again, as after each rollback of a sub-transaction: nothing to be remembered twice.
    if (same && (this.#common.get(oid)?.number ?? 0) < before.number) return
    const copy = same ? before.bytes : Buffer.from(bytes.subarray(start, end))
    relations.push({ oid, bytes: copy, number, position })
  }

  /** The transaction has committed: what is to be told behind it. */
  commit(relations: StreamedRelations): Buffer[] {
    const again: Buffer[] = []
    for (const { oid, number, bytes } of relations.all()) {
      const common = this.#common.get(oid)
      if (common !== undefined && common.number > number) again.push(common.bytes)
      else this.#common.set(oid, { number, bytes })
    }
    return again
  }

  /** No streamed transaction is open. */
  clear(): void {
    this.#common.clear()
  }
}

/** What one streamed transaction has described. */
export class StreamedRelations {
  #described: Described[] = []
  #last = new Map<number, Described>()

  last(oid: number): Described | undefined {
    return this.#last.get(oid)
  }

  push(described: Described): void {
    this.#described.push(described)
    this.#last.set(described.oid, described)
  }

  /** The last of each relation. */
  all(): Iterable<Described> {
    return this.#last.values()
  }

  /** What lies at `position` or behind it never was. */
  cut(position: number): void {
    if ((this.#described.at(-1)?.position ?? -1) < position) return
    this.#described = this.#described.filter((one) => one.position < position)
    this.#last = new Map(this.#described.map((one) => [one.oid, one]))
  }
}

// Relation: Byte1('R'), Int32 (Oid) relid, …
// One that is cut short is an error of whoever decodes it.
function oidOf(bytes: Buffer, start: number): number {
  return ((bytes[start + 1]! << 24) | (bytes[start + 2]! << 16) | (bytes[start + 3]! << 8) | bytes[start + 4]!) >>> 0
}
