import type { Random } from './random.js'

/** When a run is killed. */
export type Moment =
  /** So many milliseconds after its start: while Node loads, it connects, prepares, or goes on. */
  | { readonly in: 'start'; readonly afterMs: number }
  /** When so much of the snapshot is written. */
  | { readonly in: 'snapshot'; readonly share: number }
  /** So long after the snapshot was read: while its end is made durable and its slot permanent. */
  | { readonly in: 'snapshot end'; readonly afterMs: number }
  /** So long after it began to stream. */
  | { readonly in: 'stream'; readonly afterMs: number }

/**
 * `kills` moments in the order of a life: in the snapshot, which begins anew after each, at its end, in the stream; and
 * between them runs that live too short to get anywhere, so that two kills follow quickly.
 */
export function drawMoments(random: Random, kills: number): Moment[] {
  return Array.from({ length: kills }, (_, index): Moment => {
    if (index % 5 === 3) return { in: 'start', afterMs: random.integer(0, 600) }
    const soon = index % 5 === 4
    const share = index / kills
    if (share < 0.3) return { in: 'snapshot', share: random.fraction() * 0.9 }
    if (share < 0.5) return { in: 'snapshot end', afterMs: random.integer(0, 400) }
    return { in: 'stream', afterMs: random.integer(0, soon ? 20 : 1500) }
  })
}
