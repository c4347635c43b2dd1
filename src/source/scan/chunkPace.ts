/** How long reading a chunk shall take: so long a change of the table may have to wait for it. */
const TARGET_MS = 25
/** Opening a chunk shall be a small part of it, over a slow network too. */
const OPENING_SHARE = 8
const FIRST_ROWS = 2000
const MIN_ROWS = 50
const MAX_ROWS = 1_000_000
const MAX_STEP = 2

/** How many rows the next chunk of a table has, by how long the ones before took. */
export class ChunkPace {
  rows = FIRST_ROWS

  /** A chunk was opened in `openingMs`; then its `rows` came, and were handed on, in `readingMs`. */
  read(rows: number, openingMs: number, readingMs: number): void {
    // The last chunk of a table says little.
    if (rows < this.rows / 2) return
    const targetMs = Math.max(TARGET_MS, OPENING_SHARE * openingMs)
    const step = Math.min(MAX_STEP, Math.max(1 / MAX_STEP, targetMs / Math.max(readingMs, 1)))
    this.rows = Math.round(Math.min(MAX_ROWS, Math.max(MIN_ROWS, this.rows * step)))
  }
}
