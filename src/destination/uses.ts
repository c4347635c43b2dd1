import { HEAD, HEAD_OPERATION, HEAD_TABLE, type RowBatch, SNAPSHOT, TRUNCATE } from '../core/rowBatch.js'

/** Of one of a batch's tables: its rows and truncates. */
export interface Use {
  readonly index: number
  /** The first such record. */
  readonly first: number
  isCopied: boolean
  isChanged: boolean
}

/** In the order of the batch's tables. */
export function usesOf(rows: RowBatch): Use[] {
  const uses: Use[] = []
  const { lines } = rows
  if (lines !== undefined) {
    let first = 0
    for (const { table, ends } of lines) {
      uses[table] ??= { index: table, first, isCopied: true, isChanged: false }
      first += ends.length
    }
    return uses.filter((use) => use !== undefined)
  }
  const { heads, count } = rows
  for (let record = 0; record < count; record++) {
    const operation = heads[record * HEAD + HEAD_OPERATION]!
    if (operation > TRUNCATE) continue
    const index = heads[record * HEAD + HEAD_TABLE]!
    uses[index] ??= { index, first: record, isCopied: false, isChanged: false }
    if (operation === SNAPSHOT) uses[index].isCopied = true
    else uses[index].isChanged = true
  }
  return uses.filter((use) => use !== undefined)
}
