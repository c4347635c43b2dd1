/**
 * A place in the write-ahead log, in bytes ("pg_lsn Type" in the PostgreSQL docs). `bigint`, since an LSN has 64 bits;
 * made once a transaction, never once a row.
 */
export type Lsn = bigint

/** No place at all: `0/0`, PostgreSQL's InvalidXLogRecPtr. */
export const INVALID_LSN: Lsn = 0n

const TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/

/** Reads `16/B374D848`; undefined when the text is no LSN. */
export function parseLsn(text: string): Lsn | undefined {
  const match = TEXT.exec(text)
  if (match === null) return undefined
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

/** As the server prints it: `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  const high = Number(lsn >> 32n)
  const low = Number(lsn & 0xffff_ffffn)
  return `${high.toString(16).toUpperCase()}/${low.toString(16).toUpperCase()}`
}

/** The LSN whose eight bytes, most significant first, stand at `bytes[p]`. */
export function readLsn(bytes: Uint8Array, p: number): Lsn {
  const high = ((bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!) >>> 0
  const low = ((bytes[p + 4]! << 24) | (bytes[p + 5]! << 16) | (bytes[p + 6]! << 8) | bytes[p + 7]!) >>> 0
  return (BigInt(high) << 32n) | BigInt(low)
}

export function laterLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b
}

const WAL_PAGE = 8192n
const SHORT_PAGE_HEADER = 24n
const LONG_PAGE_HEADER = 40n

/**
 * `pg_current_wal_insert_lsn()` tells where the next record will start; on a fresh page that is behind the page's
 * header, which no record's end ever is. Gives the end of the last record instead, so that a stream which has read
 * everything can reach it (default page size of 8 kB; see XLogBytePosToRecPtr and XLogBytePosToEndRecPtr in xlog.c).
 */
export function lastRecordEnd(insertLsn: Lsn): Lsn {
  const offset = insertLsn % WAL_PAGE
  return offset === SHORT_PAGE_HEADER || offset === LONG_PAGE_HEADER ? insertLsn - offset : insertLsn
}
