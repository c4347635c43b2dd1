import { POSITION_INVALID } from '../../../core/errors.js'
import { StreamPosition } from '../../../source/position.js'

/** What Conduit stored, as the engine's; undefined: nothing yet. Throws `POSITION_INVALID`. */
export function readPosition(stored: Uint8Array): string | undefined {
  if (stored.length === 0) return undefined
  const text = Buffer.from(stored).toString()
  // The Go connector's: {"type":2,"last_lsn":"0/16B3748"}, a bare LSN, or a table's key.
  if (!/^\{.*"version":/.test(text)) {
    throw POSITION_INVALID({ problem: `it is none of this connector's: ${text.slice(0, 200)}` })
  }
  return StreamPosition.parse(text).toString()
}
