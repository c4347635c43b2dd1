import { POSITION_INVALID } from '../../../core/errors.js'
import { StreamPosition } from '../../../source/position.js'

/** Where a connector goes on. */
export interface ResumedAt {
  /** The engine's; undefined: at the beginning. */
  readonly position: string | undefined
  /** Of the next record, a change of its key, the delete was sent, and not the create. */
  readonly half: boolean
}

/** What Conduit stored. Throws `POSITION_INVALID`. */
export function readPosition(stored: Uint8Array): ResumedAt {
  if (stored.length === 0) return { position: undefined, half: false }
  const text = Buffer.from(stored).toString()
  // The Go connector's: {"type":2,"last_lsn":"0/16B3748"}, a bare LSN, or a table's key.
  if (!/^\{.*"version":/.test(text)) {
    throw POSITION_INVALID({ problem: `it is none of this connector's: ${text.slice(0, 200)}` })
  }
  const { half } = JSON.parse(text) as { readonly half?: unknown }
  return { position: StreamPosition.parse(text).toString(), half: half === true }
}

/** Behind the delete of a change of its key: the record that follows `position` comes again, for its create. */
export function halfway(position: string): string {
  return `${position.slice(0, -1)},"half":true}`
}
