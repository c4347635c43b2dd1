import type { ChunkRange } from '../core/record.js'
import type { RowBatch } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import type { UNCHANGED_COLUMN } from '../core/tape.js'
import type { RowRewrite } from './rows/rewrite.js'
import type { Tuple } from './rows/tuple.js'

/** What a filter asks. `null`: neither true nor false, which is no match. */
export interface Judge {
  /** Of a row; a column that was not sent may throw `NotSent`. */
  readonly matches: (row: Tuple) => boolean | null
  /** It needs nothing but the key. */
  readonly byKey: boolean
}

/** What becomes of the rows of one shape of a table. */
export type Plan =
  /** They stay as they are, under another description. */
  | { readonly kind: 'describe'; readonly table: Table }
  /** They go on, or do not. */
  | { readonly kind: 'judge'; readonly judge: Judge }
  /** Columns are made anew. */
  | { readonly kind: 'rewrite'; readonly rewrite: RowRewrite }
  /** They are given to somebody else, who says what becomes of each. */
  | { readonly kind: 'compute'; readonly compute: Compute }
  /** They are only looked at. */
  | { readonly kind: 'look'; readonly look: (rows: RowBatch, index: number) => void }

/** In text form; null is NULL. {@link UNCHANGED_COLUMN}: it cannot be told, and stays what it was. */
export type MadeValues = ReadonlyMap<number, string | null | typeof UNCHANGED_COLUMN>

/** What became of a record elsewhere: columns with other values, by their index; `drop`: it goes no further. */
export type Outcome =
  | { readonly drop: true }
  | { readonly failure: Error }
  | { readonly after: MadeValues; readonly before: MadeValues }

export interface Compute {
  /** What the rows are of afterwards: columns may be added behind the others. */
  readonly table: Table
  /** Of records of the table, by index, in order. */
  readonly outcomes: (rows: RowBatch, indexes: readonly number[]) => Promise<readonly Outcome[]>
}

/** What is told of a table when a processor meets it: it works, but not as well as it could. */
export interface ProcessorNotice {
  readonly problem: string
  readonly hint: string
}

/**
 * One step between a source and its sinks. It decides once for each shape of a table; the rows then go through as numbers
 * over the bytes received, and only what it changes is looked into.
 */
export interface Processor {
  /** Undefined: rows of this table pass untouched. Throws a `TailraceError` where it cannot do what it is to do. */
  plan(table: Table, notice: (notice: ProcessorNotice) => void): Plan | undefined
  /** Of rows that are read once more: their keys as the sinks know them; undefined: they cannot be told any more. */
  range?(range: ChunkRange): ChunkRange | undefined
  /** Lets go of what it holds. */
  close?(): Promise<void>
}
