/** Damage to one message, or to the order of messages. Where it falls is taken modulo what there is. */
export type Damage = readonly [kind: keyof typeof DAMAGES, message: number, at: number, value: number]

const NUMBERS = [-1, 0, 1, 2, 3, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000, 0x40000000, 1600, 65536]
/** Tags, kinds of tuples and values, replica identities, flags. */
export const BYTES = Buffer.from('\0\x01\x02\x03\x7f\x80\xffBMCORYIUDTSEcAbPKrpKONntub dfi', 'latin1')

const DAMAGES = {
  bit: (messages: Buffer[], index: number, at: number, value: number) => {
    messages[index]![at]! ^= 1 << (value & 7)
  },
  byte: (messages: Buffer[], index: number, at: number, value: number) => {
    messages[index]![at] = BYTES[value % BYTES.length]!
  },
  int16: (messages: Buffer[], index: number, at: number, value: number) => {
    if (at + 2 <= messages[index]!.length)
      messages[index]!.writeInt16BE((NUMBERS[value % NUMBERS.length]! << 16) >> 16, at)
  },
  int32: (messages: Buffer[], index: number, at: number, value: number) => {
    if (at + 4 <= messages[index]!.length) messages[index]!.writeInt32BE(NUMBERS[value % NUMBERS.length]! | 0, at)
  },
  /** What looks like a length or a count is a little off. */
  near: (messages: Buffer[], index: number, at: number, value: number) => {
    if (at + 4 > messages[index]!.length) return
    messages[index]!.writeInt32BE((messages[index]!.readInt32BE(at) + (value % 7) - 3) | 0, at)
  },
  cut: (messages: Buffer[], index: number, at: number) => {
    messages[index] = messages[index]!.subarray(0, at)
  },
  take: (messages: Buffer[], index: number, at: number, value: number) => {
    const message = messages[index]!
    messages[index] = Buffer.concat([message.subarray(0, at), message.subarray(at + 1 + (value % 8))])
  },
  insert: (messages: Buffer[], index: number, at: number, value: number) => {
    const message = messages[index]!
    const bytes = Buffer.alloc(1 + (value % 8), BYTES[value % BYTES.length])
    messages[index] = Buffer.concat([message.subarray(0, at), bytes, message.subarray(at)])
  },
  /** The end of another message behind the beginning of this one. */
  splice: (messages: Buffer[], index: number, at: number, value: number) => {
    const other = messages[value % messages.length]!
    messages[index] = Buffer.concat([messages[index]!.subarray(0, at), other.subarray(at)])
  },
  drop: (messages: Buffer[], index: number) => {
    messages.splice(index, 1)
  },
  repeat: (messages: Buffer[], index: number) => {
    messages.splice(index, 0, messages[index]!)
  },
  move: (messages: Buffer[], index: number, _at: number, value: number) => {
    messages.splice(value % messages.length, 0, ...messages.splice(index, 1))
  },
}

export const DAMAGE_KINDS = Object.keys(DAMAGES) as (keyof typeof DAMAGES)[]

export function damaged(original: readonly Buffer[], damages: readonly Damage[]): Buffer[] {
  const messages = [...original]
  for (const [kind, message, at, value] of damages) {
    if (messages.length === 0) break
    const index = message % messages.length
    const bytes = Buffer.from(messages[index]!)
    messages[index] = bytes
    // in a long message mostly near its beginning: there is what is not a value
    const span = (value & 1) === 0 ? Math.min(bytes.length, 40) : bytes.length
    DAMAGES[kind](messages, index, span === 0 ? 0 : at % span, value)
  }
  return messages
}
