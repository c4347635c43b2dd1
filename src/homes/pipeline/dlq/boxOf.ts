import { DEAD_LETTER_SINK_UNKNOWN } from '../../../core/deadLetterErrors.js'
import type { SinkMark } from '../../../sinks/sink.js'
import { StreamPosition } from '../../../source/position.js'
import type { PipelineConfig, SinkConfig } from '../config/pipelineConfig.js'
import { readPipelineState } from '../run/stateFile.js'
import { FileBox } from './fileBox.js'
import type { LetterBox } from './letterBox.js'
import { TableBox } from './tableBox.js'

/** The sinks that are meant: all, or the one called so. Throws DEAD_LETTER_SINK_UNKNOWN. */
export function sinksNamed({ sinks }: PipelineConfig, name: string | undefined): readonly SinkConfig[] {
  if (name === undefined) return sinks
  const found = sinks.filter((sink) => sink.name === name)
  if (found.length > 0) return found
  throw DEAD_LETTER_SINK_UNKNOWN({ sink: name, known: sinks.map((sink) => sink.name) })
}

/** The dead letters of a sink, as far as a run will not take them back. */
export async function boxOf({ statePath }: PipelineConfig, { name, letters }: SinkConfig): Promise<LetterBox> {
  const { place, own } = letters
  // They are committed with their batches.
  if (own !== undefined && place.kind === 'table') return new TableBox(place, undefined)
  const { bytes, number } = (await recordedMark(statePath, name)) ?? {}
  return place.kind === 'file' ? new FileBox(name, place.path, bytes) : new TableBox(place, number)
}

/** What the next run tells a sink's dead letters: what stands behind it, it takes back. */
async function recordedMark(
  statePath: string,
  sink: string,
): Promise<{ readonly bytes?: number; readonly number?: string } | undefined> {
  const progress = (await readPipelineState(statePath))?.sinks[sink]
  if (progress === undefined) return undefined
  const { position, mark, start } = progress
  const isNothing = position === null || StreamPosition.parse(position).isNothing
  const told: SinkMark = isNothing ? start : mark
  return (told?.deadLetters ?? undefined) as { readonly bytes?: number; readonly number?: string } | undefined
}
