import { comparePlaces, type StreamPosition } from '../../source/position.js'

/** Whether `position` stands before `other`; false where they are of two histories, and nobody can say. */
export function isBehind(position: StreamPosition, other: StreamPosition): boolean {
  const [a, b] = [position.origin, other.origin]
  const isOneHistory =
    a.system === b.system &&
    a.timeline === b.timeline &&
    a.database === b.database &&
    a.slot === b.slot &&
    a.epoch === b.epoch
  return isOneHistory && comparePlaces(position.place, other.place) < 0
}
