import type { WalMessage, WalMessages } from '../intake.js'
import { lengthInBlock, WalBlock, writeInBlock } from '../walBlock.js'
import { StreamedRelations } from './relationOrder.js'
import type { SpoolStore, StoredBlock } from './spoolStore.js'
import { Subtransactions } from './subtransactions.js'

/** Blocks grow from the first to the second size, so that many small transactions take little. */
const FIRST_BLOCK = 16 * 1024
const BLOCK = 256 * 1024

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
    const block = this.#blockFor(lengthInBlock(end - start))
    this.#subtransactions.note(xid, block.position + block.length, this.#behindMessage)
    this.#behindMessage = logical
    block.length = writeInBlock(block.open!, block.length, bytes, start, end, walPlace)
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

type Portion = IteratorResult<readonly WalMessage[] | WalBlock, undefined>

/** Blocks that are read, unpacked in the thread pool, while the one before them is used up. */
const AHEAD = 4

/** Reads some blocks ahead. */
class Replay implements WalMessages {
  readonly #store: SpoolStore
  readonly #blocks: Block[]
  #next = 0
  /** Of the blocks from `#next` on. */
  readonly #ahead: Promise<Buffer>[] = []
  #first: readonly WalMessage[] | undefined
  #last: readonly WalMessage[] | undefined

  constructor(store: SpoolStore, blocks: Block[], first: readonly WalMessage[], last: readonly WalMessage[]) {
    this.#store = store
    this.#blocks = blocks
    this.#first = first
    this.#last = last
  }

  async next(): Promise<Portion> {
    const first = this.#first
    if (first !== undefined) {
      this.#first = undefined
      this.#readAhead()
      return { done: false, value: first }
    }
    const block = this.#blocks[this.#next]
    if (block !== undefined) {
      const bytes = await this.#ahead.shift()!
      this.#next++
      this.#readAhead()
      return { done: false, value: new WalBlock(bytes, block.length) }
    }
    const last = this.#last
    this.#last = undefined
    return last === undefined ? { done: true, value: undefined } : { done: false, value: last }
  }

  async return(): Promise<Portion> {
    this.#first = undefined
    this.#last = undefined
    for (const block of this.#blocks.splice(0)) release(this.#store, block)
    return { done: true, value: undefined }
  }

  #readAhead(): void {
    while (this.#ahead.length < AHEAD) {
      const block = this.#blocks[this.#next + this.#ahead.length]
      if (block === undefined) return
      const bytes = this.#store.take(block.stored!)
      bytes.catch(() => {}) // whoever comes for it sees the rejection
      this.#ahead.push(bytes)
    }
  }
}

function release(store: SpoolStore, { open, stored }: Block): void {
  if (open !== undefined) store.free(open)
  if (stored !== undefined) store.release(stored)
}
