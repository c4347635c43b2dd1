const BEFORE = 'mark='
const DIGITS = 9
const LENGTH = BEFORE.length + DIGITS

/** What a row carries so that it is known in every contestant's output, raw pgoutput or JSON. */
export function mark(number) {
  return `${BEFORE}${String(number).padStart(DIGITS, '0')}`
}

/** Milliseconds; all threads of a process have the same. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Looks for marks in raw chunks, and takes the time when each is first seen. */
export class MarkReader {
  /** By number; 0 while it was not seen. */
  times
  #missing
  /** Of those that are waited for. */
  #wanted = () => {}
  #tail = Buffer.alloc(0)
  #complete = () => {}

  constructor(count) {
    this.times = new Float64Array(count)
    this.#missing = count
  }

  read(chunk) {
    const arrived = now()
    // a mark may be cut by the chunk's end
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk])
    for (let at = bytes.indexOf(BEFORE); at >= 0; at = bytes.indexOf(BEFORE, at + LENGTH)) {
      if (at + LENGTH > bytes.length) break
      const number = Number(bytes.latin1Slice(at + BEFORE.length, at + LENGTH))
      if (this.times[number] !== 0) continue
      this.times[number] = arrived
      this.#missing--
    }
    // copied: a chunk of 64 kB must not live on for its last bytes
    this.#tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - LENGTH + 1)))
    if (this.#missing === 0) this.#complete()
    this.#wanted()
  }

  /** As `all`, of the first `count`, which come in order. */
  first(count, limitMs) {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`row ${count} did not come`)), limitMs)
      this.#wanted = () => {
        if (this.times[count - 1] === 0) return
        clearTimeout(limit)
        this.#wanted = () => {}
        resolve()
      }
      this.#wanted()
    })
  }

  /** Resolves when every mark has been seen; rejects when that takes longer than `limitMs`. */
  all(limitMs) {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`${this.#missing} rows did not come`)), limitMs)
      this.#complete = () => {
        clearTimeout(limit)
        resolve()
      }
      if (this.#missing === 0) this.#complete()
    })
  }
}
