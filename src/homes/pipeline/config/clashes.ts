import { PIPELINES_CLASH } from '../../../core/pipelineErrors.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import type { PipelineConfig } from './pipelineConfig.js'

export interface FilePipeline {
  readonly path: string
  readonly config: PipelineConfig
}

/**
 * Throws when two pipelines that are to run in one process have the same name, state file, slot or output: what protects two
 * processes from each other does not protect a process from itself.
 */
export function refuseClashes(pipelines: readonly FilePipeline[]): void {
  const taken = new Map<string, string>()
  for (const { path, config } of pipelines) {
    // Within one file that was looked at when it was read.
    const own = new Map(possessions(config).map(({ what, which }) => [JSON.stringify(which), what]))
    for (const [which, both] of own) {
      const one = taken.get(which)
      if (one !== undefined) throw PIPELINES_CLASH({ one, other: path, both })
      taken.set(which, path)
    }
  }
}

interface Possession {
  /** For people; never with a password. */
  readonly what: string
  readonly which: readonly unknown[]
}

function possessions({ name, statePath, source, sinks }: PipelineConfig): readonly Possession[] {
  const { slot, url } = source
  const hosts = slot === undefined ? [] : parseConnectionString(url).hosts
  return [
    { what: `name, ${name}`, which: ['name', name] },
    { what: `file, ${statePath}`, which: ['output', statePath] },
    ...hosts.map(({ name: host, address, port }) => ({
      what: `slot, ${slot}`,
      which: ['slot', slot, address ?? host, port],
    })),
    ...sinks.flatMap((sink) =>
      (sink.claims ?? []).map((claim) => ({ what: `output, that of the sink ${sink.name}`, which: ['output', claim] })),
    ),
  ]
}
