/** A frame of records that is not durable yet. */
export interface KeptFrame {
  readonly id: number
  readonly bytes: Buffer
}

/**
 * Which reader has which frames. A frame is durable, and forgotten, when so many readers have acknowledged it: each counts
 * once, by its name, also when it has gone since. No socket, no timer.
 */
export class Deliveries {
  readonly #needed: number
  #kept: KeptFrame[] = []
  /** By reader, the last frame that it has, of those that are not forgotten. */
  readonly #acknowledged = new Map<string, number>()
  /** Of the frames that are kept. */
  bytes = 0
  last = 0
  durable = 0

  constructor(needed: number) {
    this.#needed = needed
  }

  /** The frame that comes next, to be given to all readers. */
  add(make: (id: number) => Buffer): KeptFrame {
    const frame = { id: ++this.last, bytes: make(this.last) }
    this.#kept.push(frame)
    this.bytes += frame.bytes.length
    return frame
  }

  /** What a reader gets that joins now: all that it has not acknowledged and that is not durable. */
  missingOf(reader: string): readonly KeptFrame[] {
    const acknowledged = this.#acknowledged.get(reader) ?? 0
    return this.#kept.filter(({ id }) => id > acknowledged)
  }

  /** The reader has all up to that frame. True: something has become durable. */
  acknowledge(reader: string, id: number): boolean {
    if (id <= Math.max(this.durable, this.#acknowledged.get(reader) ?? 0)) return false
    this.#acknowledged.set(reader, id)
    const places = [...this.#acknowledged.values()].sort((a, b) => b - a)
    const durable = places[this.#needed - 1] ?? this.durable
    if (durable <= this.durable) return false
    this.durable = durable
    for (const { bytes } of this.#kept.splice(0, durable - (this.#kept[0]!.id - 1))) this.bytes -= bytes.length
    for (const [name, place] of this.#acknowledged) if (place <= durable) this.#acknowledged.delete(name)
    return true
  }
}
