import type { SinkMark } from '../../../sinks/sink.js'
import { comparePlaces, type StreamPosition } from '../../../source/position.js'
import type { Lane } from './lane.js'
import type { Recorder } from './recorder.js'
import { type Start, startOf } from './resume.js'

/** Opens these sinks, as far as their policies let them; gives where the source is to begin. `failed` hears whose error it is. */
export async function openLanes(
  lanes: readonly Lane[],
  recorder: Recorder,
  statePath: string,
  failed: (lane: Lane, error: unknown) => void,
): Promise<Start> {
  const of = async <Result>(lane: Lane, work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work()
    } catch (error) {
      failed(lane, error)
      throw error
    }
  }
  const positions = new Map<string, StreamPosition | undefined>()
  const open = async (lane: Lane) => {
    const stored = await of(lane, () => lane.open(recorder.mark(lane.name)))
    positions.set(lane.name, later(stored, recorder.position(lane.name)))
    return stored
  }
  const stored: StreamPosition[] = []
  for (const lane of lanes) {
    const position = lane.storesPosition ? await open(lane) : undefined
    if (position !== undefined) stored.push(position)
  }
  // Where several of them stand apart the others go with the one that is furthest.
  const furthest = stored.sort((a, b) => comparePlaces(a.place, b.place)).at(-1)
  if (furthest !== undefined) recorder.settle(furthest)
  for (const lane of lanes) if (!lane.storesPosition) await open(lane)
  const start = startOf(positions, statePath)
  if (start.alone !== undefined) {
    await recorder.save()
    return start
  }
  for (const lane of lanes) {
    const position = positions.get(lane.name)
    if (position !== undefined && position !== start.least && start.anew === undefined) lane.startAt(position)
  }
  if (recorder.isNew) {
    const marks = new Map<string, SinkMark>()
    for (const lane of lanes) marks.set(lane.name, await of(lane, () => lane.firstMark()))
    await recorder.begin(marks)
  }
  return start
}

/** A sink stores where its last record was; what came behind that, and was of no record, is in the state only. */
function later(stored: StreamPosition | undefined, recorded: StreamPosition | undefined): StreamPosition | undefined {
  if (stored === undefined || recorded === undefined) return stored ?? recorded
  return comparePlaces(stored.place, recorded.place) < 0 ? recorded : stored
}
