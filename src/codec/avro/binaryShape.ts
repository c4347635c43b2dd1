import type { BinaryRows } from '../../postgres/binary/row.js'
import { BinaryRecord } from './binaryRecord.js'
import type { AvroRecord } from './record.js'
import type { AvroShape } from './shape.js'

/** What an `AvroShape` is to rows in text, to the same rows in COPY's binary format. For one thread of calls. */
export class BinaryShape {
  readonly #shape: AvroShape
  readonly #forms: readonly number[]
  readonly #rows: BinaryRows
  readonly #plain: BinaryRecord
  readonly #variants = new Map<AvroRecord, BinaryRecord>()
  /** What the row before this one needed, and its record: rows of a kind come in company. */
  readonly #needs: Uint8Array
  #last: BinaryRecord | undefined

  /** `forms`: of the columns of a row; `rows`: of these. */
  constructor(shape: AvroShape, forms: readonly number[], rows: BinaryRows) {
    this.#shape = shape
    this.#forms = forms
    this.#rows = rows
    this.#plain = this.#writerOf(shape.record)
    this.#needs = new Uint8Array(shape.record.fields.length)
  }

  /** What writes the row whose values lie where the tape says: the record that `AvroShape.recordFor` chooses for its text. */
  recordFor(bytes: Uint8Array, view: DataView, tape: Int32Array): BinaryRecord {
    const plain = this.#plain
    if (plain.fits(view, tape)) return plain
    const needs = this.#needs
    for (let i = 0; i < needs.length; i++) {
      const need = plain.needOf(i, bytes, view, tape)
      if (need !== needs[i]) {
        needs[i] = need
        this.#last = undefined
      }
    }
    this.#last ??= this.#writerOf(this.#shape.variant(needs))
    return this.#last
  }

  #writerOf(record: AvroRecord): BinaryRecord {
    const known = this.#variants.get(record)
    if (known !== undefined) return known
    const writer = new BinaryRecord(record, this.#forms, this.#rows)
    this.#variants.set(record, writer)
    return writer
  }
}
