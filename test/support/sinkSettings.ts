import type { Sink } from '../../src/sinks/sink.js'
import type { SinkType } from '../../src/sinks/sinkType.js'

/** A sink of that type, with these settings and the defaults of all others. */
export function makeSink(type: SinkType, given: object, place: { folder?: string; pipeline?: string } = {}): Sink {
  const settings = Object.entries(type.settings).map(([name, one]) => {
    return [name, one.parse((given as Record<string, unknown>)[name])]
  })
  return type.create(Object.fromEntries(settings), { folder: '/', pipeline: 'contract', sink: 'one', ...place })
}
