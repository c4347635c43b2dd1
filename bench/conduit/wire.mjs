/** The little of protobuf and of gRPC's framing that a client needs which takes messages without decoding them. */

const LENGTH_DELIMITED = 2

/** `[field, text, bytes or number]…` as a message. */
export function message(...fields) {
  const parts = []
  for (const [field, value] of fields) {
    if (typeof value === 'number') parts.push(varint(field << 3), varint(value))
    else {
      const bytes = Buffer.from(value)
      parts.push(varint((field << 3) | LENGTH_DELIMITED), varint(bytes.length), bytes)
    }
  }
  return Buffer.concat(parts)
}

/** A `map<string, string>`. */
export function entries(field, map) {
  return Object.entries(map).map(([key, value]) => [field, message([1, key], [2, value])])
}

/** Calls `each(field, start, end)` for every field that has bytes; of numbers `each(field, value)`. */
export function walk(bytes, start, end, each) {
  let p = start
  const number = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[p++]
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (p < end) {
    const tag = number()
    const kind = tag & 7
    if (kind === LENGTH_DELIMITED) {
      const length = number()
      each(tag >>> 3, p, p + length)
      p += length
    } else if (kind === 0) each(tag >>> 3, number())
    else p += kind === 1 ? 8 : 4
  }
}

export function framed(bytes) {
  const frame = Buffer.allocUnsafe(5 + bytes.length)
  frame[0] = 0
  frame.writeUInt32BE(bytes.length, 1)
  bytes.copy(frame, 5)
  return frame
}

/** Puts the messages of a stream together: `push(chunk)` calls `each` for every one that is whole. */
export class Frames {
  #parts = []
  #length = 0
  #wanted = 5
  #each

  constructor(each) {
    this.#each = each
  }

  push(chunk) {
    this.#parts.push(chunk)
    this.#length += chunk.length
    while (this.#length >= this.#wanted) {
      const bytes = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts)
      this.#parts = [bytes]
      const end = 5 + bytes.readUInt32BE(1)
      if (this.#length < end) {
        this.#wanted = end
        return
      }
      this.#each(bytes.subarray(5, end))
      this.#length -= end
      this.#parts = this.#length === 0 ? [] : [bytes.subarray(end)]
      this.#wanted = 5
    }
  }
}

function varint(value) {
  const bytes = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 0x80)
  }
}
