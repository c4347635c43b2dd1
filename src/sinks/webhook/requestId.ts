import { createHash } from 'node:crypto'

/**
 * What may stand in a header as it is. No point: it parts id, time and body where they are signed, and a key that holds points could be
 * chosen so that one signature is that of another message, too.
 */
const UNSAFE = /[^A-Za-z0-9/_,:+-]/gu
/** A longer id is told by its hash: servers take headers of some kilobytes in all. */
const MOST_CHARACTERS = 512
const HASH_CHARACTERS = 32

/** A record's id as a header: percent-encoded, so that `decodeURIComponent` gives it. */
export function headerId(id: string): string {
  const encoded = id.replace(UNSAFE, encode)
  return encoded.length <= MOST_CHARACTERS ? encoded : `sha256:${hash([id], 64)}`
}

/** The id of several records in one request: of the same records it is the same, whenever they are sent. */
export function batchId(ids: readonly string[]): string {
  return `batch-${ids.length}-${hash(ids, HASH_CHARACTERS)}`
}

function encode(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

function hash(ids: readonly string[], characters: number): string {
  // No id holds a NUL.
  return createHash('sha256').update(ids.join('\0')).digest('hex').slice(0, characters)
}
