import { comparePlaces, isOfOneHistory, type StreamPosition } from '../../source/position.js'

/** Whether `position` stands before `other`; false where they are of two histories, and nobody can say. */
export function isBehind(position: StreamPosition, other: StreamPosition): boolean {
  return isOfOneHistory(position, other) && comparePlaces(position.place, other.place) < 0
}
