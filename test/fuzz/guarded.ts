/** A read or write outside the message, which the decoder must not make whatever the bytes say. */
export class OutsideError extends Error {}

/** `bytes`, of which only `[start, end)` may be touched. */
export function guardedBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const inside = (at: number, access: string) => {
    if (at < start || at >= end) throw new OutsideError(`${access} at ${at}, outside [${start}, ${end})`)
  }
  return new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^-?\d+$/.test(key)) {
        inside(Number(key), 'a read')
        return target[Number(key)]
      }
      if (key === 'subarray' || key === 'slice') {
        return (from: number, to: number) => {
          if (from < start || to > end || from > to) throw new OutsideError(`${key}(${from}, ${to})`)
          return target.subarray(from, to)
        }
      }
      throw new OutsideError(`${String(key)} is not known to be safe`)
    },
    set(target, key, value) {
      inside(Number(key), 'a write')
      target[Number(key)] = value
      return true
    },
  })
}

/** The same of a view on it, as far as the reader of COPY rows asks. */
export function guardedView(view: DataView, start: number, end: number): DataView {
  const getInt32 = (at: number, littleEndian?: boolean) => {
    if (at < start || at + 4 > end) throw new OutsideError(`four bytes read at ${at}, outside [${start}, ${end})`)
    return view.getInt32(at, littleEndian)
  }
  return { getInt32 } as DataView
}
