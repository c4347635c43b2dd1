import type { WalMessage, WalMessages } from '../intake.js'
import { StreamedRelations } from './relationOrder.js'
import type { SpoolStore, StoredBlock } from './spoolStore.js'
import { Subtransactions } from './subtransactions.js'

/** Blocks grow from the first to the second size, so that many small transactions take little. */
const FIRST_BLOCK = 16 * 1024
const BLOCK = 256 * 1024
// Of each message in a block: Int32 length, Int32 WAL place, then its bytes.
const HEAD = 8

/** A part of the transaction; only the last one may be open. */
interface Block {
  /** Where it begins in the transaction, in bytes of all blocks before. */
  readonly position: number
  /** Bytes in it that count: what was rolled back at its end does not. */
  length: number
  /** While it is filled. */
  open: Buffer | undefined
  stored: StoredBlock | undefined
}

/** The messages of one streamed transaction, in protocol 1's form, as far as they were not rolled back. */
export class SpooledTransaction {
  readonly xid: number
  readonly relations = new StreamedRelations()
  readonly #store: SpoolStore
  readonly #subtransactions: Subtransactions
  #blocks: Block[] = []
  /** The last message is a logical one. */
  #behindMessage = false

  constructor(store: SpoolStore, xid: number) {
    this.#store = store
    this.xid = xid
    this.#subtransactions = new Subtransactions(xid)
  }

  /** Behind everything. */
  get position(): number {
    const last = this.#blocks.at(-1)
    return last === undefined ? 0 : last.position + last.length
  }

  /** The message `bytes[start..end)` of (sub-)transaction `xid`; `logical`: a logical message. */
  append(bytes: Buffer, start: number, end: number, walPlace: number, xid: number, logical: boolean): void {
    const block = this.#blockFor(HEAD + end - start)
    const open = block.open!
    let at = block.length
    this.#subtransactions.note(xid, block.position + at, this.#behindMessage)
    this.#behindMessage = logical
    at = open.writeInt32BE(end - start, at)
    at = open.writeInt32BE(walPlace, at)
    block.length = at + bytes.copy(open, at, start, end)
  }

  /**
   * The sub-transaction `subxid` was rolled back. False: it cannot be told what is left, since the logical message at the
   * end may be its own, or not: of those the server does not say in which sub-transaction they were made.
   */
  rollBack(subxid: number): boolean {
    const cut = this.#subtransactions.cut(subxid)
    if (cut !== undefined) {
      this.#cut(cut.position)
      this.relations.cut(cut.position)
      this.#behindMessage = cut.behindMessage
    }
    return !this.#behindMessage
  }

  /** The block being filled is put away. */
  seal(): void {
    const block = this.#blocks.at(-1)
    if (block?.open === undefined) return
    block.stored = this.#store.put(block.open, block.length)
    block.open = undefined
  }

  drop(): void {
    this.#cut(0)
  }

  /** Everything, between `first` and `last`. Each block is given up as soon as it was read. */
  replay(first: WalMessage, last: readonly WalMessage[]): WalMessages {
    this.seal()
    const blocks = this.#blocks
    this.#blocks = []
    return new Replay(this.#store, blocks, [first], last)
  }

  #blockFor(length: number): Block {
    const last = this.#blocks.at(-1)
    if (last?.open !== undefined && last.length + length <= last.open.length) return last
    const { position } = this
    this.seal()
    const usual = Math.min(BLOCK, FIRST_BLOCK << Math.min(this.#blocks.length, 8))
    const block = { position, length: 0, open: this.#store.allocate(Math.max(usual, length)), stored: undefined }
    this.#blocks.push(block)
    return block
  }

  #cut(position: number): void {
    while (this.#blocks.length > 0) {
      const block = this.#blocks.at(-1)!
      if (block.position < position) {
        block.length = Math.min(block.length, position - block.position)
        return
      }
      this.#blocks.pop()
      release(this.#store, block)
    }
  }
}

/** Reads one block ahead. */
class Replay implements WalMessages {
  readonly #store: SpoolStore
  readonly #blocks: Block[]
  #next = 0
  #ahead: Promise<Buffer> | undefined
  #first: readonly WalMessage[] | undefined
  #last: readonly WalMessage[] | undefined

  constructor(store: SpoolStore, blocks: Block[], first: readonly WalMessage[], last: readonly WalMessage[]) {
    this.#store = store
    this.#blocks = blocks
    this.#first = first
    this.#last = last
  }

  async next(): Promise<IteratorResult<readonly WalMessage[], undefined>> {
    const first = this.#first
    if (first !== undefined) {
      this.#first = undefined
      this.#ahead = this.#read(0)
      return { done: false, value: first }
    }
    const block = this.#blocks[this.#next]
    if (block !== undefined) {
      const bytes = await this.#ahead!
      this.#next++
      this.#ahead = this.#read(this.#next)
      return { done: false, value: messagesIn(bytes, block.length) }
    }
    const last = this.#last
    this.#last = undefined
    return last === undefined ? { done: true, value: undefined } : { done: false, value: last }
  }

  async return(): Promise<IteratorResult<readonly WalMessage[], undefined>> {
    this.#first = undefined
    this.#last = undefined
    for (const block of this.#blocks.splice(0)) release(this.#store, block)
    return { done: true, value: undefined }
  }

  #read(index: number): Promise<Buffer> | undefined {
    const block = this.#blocks[index]
    if (block === undefined) return undefined
    const bytes = this.#store.take(block.stored!)
    bytes.catch(() => {}) // whoever comes for it sees the rejection
    return bytes
  }
}

function release(store: SpoolStore, { open, stored }: Block): void {
  if (open !== undefined) store.free(open)
  if (stored !== undefined) store.release(stored)
}

function messagesIn(bytes: Buffer, length: number): WalMessage[] {
  const messages: WalMessage[] = []
  for (let p = 0; p < length; ) {
    const start = p + HEAD
    const end = start + bytes.readInt32BE(p)
    messages.push({ bytes, start, end, walPlace: bytes.readInt32BE(p + 4) })
    p = end
  }
  return messages
}
