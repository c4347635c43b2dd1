import type { Random } from '../chaos/random.js'
import { copyText } from '../support/copyText.js'
import { DAMAGE_KINDS, type Damage, damaged } from '../support/pgoutputDamage.js'
import type { PgoutputCapture } from '../support/pgoutputFixtures.js'
import { PgoutputRecorder } from '../support/pgoutputRecorder.js'
import type { FuzzInput } from './input.js'

/** What means something in a row of COPY, and what nearly does. */
const COPY_PIECES = ['\\', '\t', '\n', '\\N', '\\\\', '\\t', '\\.', 'N', '\0', '\x0b', '\x0a\x5c', 'abcd', '\xff', '\r']

/** Recorded streams, rows, and whatever was kept, as they are and damaged. */
export class Drawing {
  readonly #random: Random
  readonly #streams: FuzzInput[]
  readonly #rows: Buffer[]
  readonly #kept: FuzzInput[] = []

  constructor(random: Random, captures: readonly PgoutputCapture[]) {
    this.#random = random
    this.#streams = captures.map(({ protocolVersion, streaming, messages }) => ({
      target: 'pgoutput',
      protocolVersion,
      streaming,
      messages,
    }))
    this.#rows = captures.flatMap(rowsOf)
  }

  /** What came of it was new: damage to it may give more. */
  keep(input: FuzzInput): void {
    this.#kept.push(input)
  }

  next(): FuzzInput {
    const random = this.#random
    if (random.chance(0.3)) return this.#copy()
    const stream = random.pick(this.#streams)
    const kept = this.#kept.length > 0 && random.chance(0.3) ? random.pick(this.#kept) : stream
    const { target, messages } = kept
    if (target === 'copy') return this.#copy()
    // A kept one may be followed by a recorded one: in whatever state it left the decoder.
    const followed = kept !== stream && random.chance(0.3) ? [...messages, ...stream.messages] : messages
    const damages: Damage[] = []
    for (let left = Math.ceil(60 ** random.fraction()); left > 0; left--) {
      const [message, at, value] = [random.integer(0, 0xffff), random.integer(0, 0xffff), random.integer(0, 0xffff)]
      damages.push([random.pick(DAMAGE_KINDS), message, at, value])
    }
    return { ...kept, messages: damaged(followed, damages) }
  }

  #copy(): FuzzInput {
    const random = this.#random
    const rows = Array.from({ length: 10 }, () => this.#row())
    const columns = (random.pick(rows).toString('latin1').match(/\t/g)?.length ?? 0) + random.pick([1, 1, 1, 1, 0, 2])
    return { target: 'copy', columns: random.chance(0.05) ? 0 : columns, messages: rows }
  }

  #row(): Buffer {
    const random = this.#random
    let row = random.pick(this.#rows)
    if (random.chance(0.3)) {
      const pieces = Array.from({ length: random.integer(0, 12) }, () => random.pick(COPY_PIECES))
      row = Buffer.from(`${pieces.join('')}${random.chance(0.8) ? '\n' : ''}`, 'latin1')
    }
    for (let left = random.integer(0, 4); left > 0; left--) {
      const at = random.integer(0, row.length)
      const piece = Buffer.from(random.chance(0.5) ? random.pick(COPY_PIECES) : '', 'latin1')
      row = Buffer.concat([row.subarray(0, at), piece, row.subarray(at + random.integer(0, 2))])
    }
    return row
  }
}

/** The rows of a recorded stream as COPY writes them ("COPY: Text Format", CopyAttributeOutText in copyto.c). */
function rowsOf(capture: PgoutputCapture): Buffer[] {
  const recorder = new PgoutputRecorder(capture)
  const rows: Buffer[] = []
  for (const message of capture.messages) {
    const event = recorder.decode(message)
    if (event.kind === 'insert') rows.push(Buffer.from(copyText(event.new), 'latin1'))
  }
  return rows
}
