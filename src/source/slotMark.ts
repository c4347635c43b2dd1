import type { Lsn } from '../postgres/lsn.js'

/** Every record of the WAL ends at a multiple of it (MAXALIGN). */
const ALIGNMENT = 8n

/**
 * For consumers that can store a position with a record only: the slot may be ahead of what they stored, by idle advances
 * and by acknowledgements that they forgot. Then all that we confirm is told to the slot as LSN - n, where n, 1 to 7, is
 * that of the epoch. A record ends at a multiple of 8, and a commit record is longer than 8 bytes: so the server sends the
 * same as from the LSN itself, and a slot that was made anew, or moved by somebody else, is told apart from one that we
 * moved (design section 3, rule 5).
 */
export function slotMark(epoch: number): Lsn {
  return BigInt((epoch - 1) % 7) + 1n
}

/** Whether a slot that has confirmed this was moved there by us, in this epoch. */
export function isMarked(confirmed: Lsn, epoch: number): boolean {
  return (confirmed + slotMark(epoch)) % ALIGNMENT === 0n
}

/** Of a consumer that has stored nothing yet: any, so that what two of them leave behind seldom looks alike. */
export function drawnEpoch(): number {
  return 1 + Math.floor(Math.random() * 7)
}
