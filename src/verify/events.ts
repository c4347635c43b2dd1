import type { RepairCounts } from './report.js'

/** What a comparison tells while it goes on. Table names are the source's, quoted where SQL wants it. */
export type VerifyEvent =
  | { readonly type: 'connected'; readonly source: string; readonly target: string; readonly tables: number }
  /** The pass over both tables begins. */
  | {
      readonly type: 'reading'
      readonly table: string
      readonly target: string
      /** The planner's figure for the larger side; undefined: nobody knows. */
      readonly estimatedRows: number | undefined
    }
  /** So many of the buckets differ: their rows are read. */
  | { readonly type: 'narrowing'; readonly table: string; readonly buckets: number; readonly of: number }
  /** So many rows look different: they are looked at again. */
  | { readonly type: 'settling'; readonly table: string; readonly rows: number; readonly seconds: number }
  /** Until now. */
  | ({ readonly type: 'repaired'; readonly table: string } & Readonly<RepairCounts>)
