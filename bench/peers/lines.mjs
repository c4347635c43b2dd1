import { writeSync } from 'node:fs'

/** What every peer is told. */
export const { BENCH_URL: url, BENCH_SLOT: slot, BENCH_PUBLICATION: publication } = process.env

const end = process.env.BENCH_END === '' ? undefined : toNumber(process.env.BENCH_END)

// Both clients give int8 as BigInt, which JSON.stringify refuses.
BigInt.prototype.toJSON = function toJSON() {
  return Number(this)
}

let lines = []

export function addLine(row) {
  lines.push(JSON.stringify(row))
}

/** Writes what was added in one call, as a careful user of the client would. */
export function writeLines() {
  if (lines.length === 0) return
  writeSync(1, `${lines.join('\n')}\n`)
  lines = []
}

/** Everything up to the end that the bench names has come. */
export function reached(lsn) {
  return end !== undefined && toNumber(lsn) >= end
}

function toNumber(lsn) {
  const [high, low] = lsn.split('/')
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16)
}
