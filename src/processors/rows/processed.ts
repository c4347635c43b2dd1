import type { RowBatch } from '../../core/rowBatch.js'

/** What a processor made of a batch. */
export interface Processed {
  readonly rows: RowBatch
  /** Of each record its index in the batch that came, ascending; undefined: none is gone. */
  readonly kept: Int32Array | undefined
}
