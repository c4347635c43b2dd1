import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { ByteWriter } from '../core/byteWriter.js'
import type { SqlType } from './sql/types.js'

/** HMAC-SHA-256 of a value's text with a key. */
export class KeyedHash {
  readonly #key: KeyObject

  constructor(key: string) {
    this.#key = createSecretKey(Buffer.from(key))
  }

  /** Writes the hash of a value as one of `type`: text, uuid or bytea. */
  writer(type: SqlType) {
    const form = type === 'uuid' ? asUuid : type === 'bytea' ? (hex: string) => `\\x${hex}` : (hex: string) => hex
    return (writer: ByteWriter, bytes: Uint8Array, start: number, end: number): void => {
      writer.writeAscii(form(createHmac('sha256', this.#key).update(bytes.subarray(start, end)).digest('hex')))
    }
  }
}

/** Version 8 of RFC 9562, whose bits are for whoever makes it to choose. */
function asUuid(hex: string): string {
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
