import { POSITION_INVALID } from '../../../core/errors.js'
import { StreamPosition } from '../../../source/position.js'
import { type GoPosition, readGoPosition } from './goPosition.js'
import { unpackPosition } from './packedPosition.js'

/** Where a connector goes on. */
export interface ResumedAt {
  /** The engine's; undefined: at the beginning. */
  readonly position: string | undefined
  /** Of the next record, a change of its key, the delete was sent, and not the create. */
  readonly half: boolean
}

/** What Conduit stored: of this connector, or of its own one, behind which we go on. Throws `POSITION_INVALID`. */
export function readPosition(stored: Uint8Array): ResumedAt | { readonly go: GoPosition } {
  if (stored.length === 0) return { position: undefined, half: false }
  const text = unpackPosition(Buffer.from(stored).toString())
  if (!/^\{.*"version":/.test(text)) {
    const go = readGoPosition(stored)
    if (go !== undefined) return { go }
    const problem = `it is none of this connector's, nor of Conduit's own: ${text.slice(0, 200)}`
    throw POSITION_INVALID({ problem })
  }
  // Refuses what is damaged.
  const position = StreamPosition.parse(text).toString()
  const { half } = JSON.parse(text) as { readonly half?: unknown }
  return { position, half: half === true }
}

/** Behind the delete of a change of its key: the record that follows `position` comes again, for its create. */
export function halfway(position: string): string {
  return `${position.slice(0, -1)},"half":true}`
}
