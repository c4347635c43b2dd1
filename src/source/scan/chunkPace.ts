/** How long reading a chunk shall take: so long a change of the table may have to wait for it. */
const TARGET_MS = 35
/** Opening a chunk shall be a small part of it, over a slow network too. */
const OPENING_SHARE = 8
const FIRST_ROWS = 2000
const MIN_ROWS = 50
const MAX_ROWS = 1_000_000
const MAX_STEP = 2

/** What a run that is killed has to read again is to be a small part of the table. */
const TABLE_SHARE = 200

/** How many rows the next chunk of a table has, by how long the ones before took. */
export class ChunkPace {
  rows: number
  readonly #tableRows: number
  readonly #most: number
  #read = 0

  /** `tableRows`: an estimate, which may be far too low; `most`: no chunk has more. */
  constructor(tableRows: number, most = MAX_ROWS) {
    this.#tableRows = tableRows
    this.#most = Math.min(most, MAX_ROWS)
    this.rows = Math.min(FIRST_ROWS, this.#most)
  }

  /** A chunk was opened in `openingMs`; then its `rows` came, and were handed on, in `readingMs`. */
  read(rows: number, openingMs: number, readingMs: number): void {
    this.#read += rows
    // The last chunk of a table says little.
    if (rows < this.rows / 2) return
    const targetMs = Math.max(TARGET_MS, OPENING_SHARE * openingMs)
    const step = Math.min(MAX_STEP, Math.max(1 / MAX_STEP, targetMs / Math.max(readingMs, 1)))
    const share = Math.max(FIRST_ROWS, Math.max(this.#tableRows, this.#read) / TABLE_SHARE)
    this.rows = Math.round(Math.min(share, this.#most, Math.max(MIN_ROWS, this.rows * step)))
  }
}
