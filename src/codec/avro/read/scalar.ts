import { doubleText } from '../../text/doubleText.js'

/** What a numeric takes; Conduit's own connector writes one without a precision with 65531 of them. */
const MOST_DECIMALS = 16_383

/** A float by as few digits as lead back to it, as the server prints it: nine are always enough. */
export function floatText(value: number): string {
  if (!Number.isFinite(value) || value === 0) return doubleText(value)
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(Number(value.toPrecision(9)))
}

/** The number that the two's complement `bytes` and `scale` make, with all its decimals; no bytes are 0. */
export function decimalText(bytes: Buffer, scale: number): string {
  if (bytes.length > 0 && bytes.length <= 6) return shifted(bytes.readIntBE(0, bytes.length), scale)
  const unscaled = bytes.length === 0 ? 0n : BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`))
  return shifted(unscaled, scale)
}

function shifted(unscaled: number | bigint, scale: number): string {
  if (scale === 0) return String(unscaled)
  const digits = String(unscaled < 0 ? -unscaled : unscaled).padStart(scale + 1, '0')
  const text = `${unscaled < 0 ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return scale > MOST_DECIMALS ? text.replace(/\.?0+$/, '') : text
}

/** 16 bytes as `0188e2a4-7b1c-…`. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Three unsigned little-endian ints: months, days, milliseconds. */
export function durationText(bytes: Buffer): string {
  const milliseconds = bytes.readUInt32LE(8)
  return `P${bytes.readUInt32LE(0)}M${bytes.readUInt32LE(4)}DT${milliseconds / 1000}S`
}
