import type { PipelineConfig } from '../config/pipelineConfig.js'
import type { PauseSwitch } from '../run/pauseSwitch.js'
import type { Replays } from '../run/replays.js'
import type { PipelineMonitor } from '../status/pipelineMonitor.js'

/** A pipeline of this process, as the HTTP interface has it. */
export interface ManagedPipeline {
  readonly name: string
  readonly config: PipelineConfig
  readonly monitor: PipelineMonitor
  readonly pause: PauseSwitch
  readonly replays: Replays
  /** Does what `tailrace signal` would ask; gives what it would be told. `abandoned`: nobody waits for it any more. */
  signal(request: Readonly<Record<string, unknown>>, abandoned: () => boolean): Promise<object>
}
