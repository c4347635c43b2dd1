/** Up to here four bytes at a time are faster than making a view of the range (Node 20: 40 ns for 130 bytes, 110 with one). */
const SHORT = 512

/** Copies `from[start..end)` to `to[at..)`; the views are of the same memory. */
export function copyShort(
  from: Uint8Array,
  fromView: DataView,
  start: number,
  end: number,
  to: Uint8Array,
  toView: DataView,
  at: number,
): void {
  if (end - start > SHORT) {
    to.set(from.subarray(start, end), at)
    return
  }
  let p = start
  let q = at
  for (const words = end - 3; p < words; p += 4, q += 4) toView.setInt32(q, fromView.getInt32(p, true), true)
  while (p < end) to[q++] = from[p++]!
}
