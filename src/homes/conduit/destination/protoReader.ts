/** The fields of a protobuf message, one after the other; what a field holds is the caller's to know. */
export class ProtoReader {
  readonly bytes: Buffer
  p = 0
  end = 0

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.p = start
    this.end = end
  }

  get more(): boolean {
    return this.p < this.end
  }

  /** Up to 2^53: tags, lengths and enums are small. */
  varint(): number {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      if (this.p >= this.end) throw new RangeError('a protobuf message ends in the middle of a number')
      const byte = this.bytes[this.p++]!
      value += (byte & 0x7f) * unit
      if (byte < 0x80) return value
    }
  }

  /** Steps over the length of a field with one: gives where it ends, `p` is where it begins. */
  length(): number {
    const length = this.varint()
    const end = this.p + length
    if (end > this.end) throw new RangeError('a protobuf message ends in the middle of a field')
    return end
  }

  /** Steps over the field whose tag was read. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.varint()
        return
      case 1:
        this.p += 8
        return
      case 2:
        this.p = this.length()
        return
      case 5:
        this.p += 4
        return
      default:
        throw new RangeError(`a protobuf message has a field of wire type ${tag & 7}`)
    }
  }
}
