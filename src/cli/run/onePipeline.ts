import type { PipelineConfig } from '../../homes/pipeline/config/pipelineConfig.js'
import { PauseSwitch } from '../../homes/pipeline/run/pauseSwitch.js'
import { Replays } from '../../homes/pipeline/run/replays.js'
import { runPipeline } from '../../homes/pipeline/runPipeline.js'
import type { PipelineMonitor } from '../../homes/pipeline/status/pipelineMonitor.js'
import type { SourceEvent } from '../../source/events.js'
import type { PostgresSource } from '../../source/postgresSource.js'
import { ControlledRun } from '../control/controlledRun.js'
import { ControlServer } from '../control/controlServer.js'
import type { Log } from '../log.js'
import { reportEvents } from '../report/report.js'
import { summarise, tell } from './pipelineText.js'

export interface PipelineOptions {
  readonly control?: string | false
  readonly quiet?: boolean
  readonly verbose?: boolean
  /** Undefined: as standard error is read, by somebody at a terminal or by a program. */
  readonly log?: 'text' | 'json'
}

export interface PipelineSurroundings extends Omit<PipelineOptions, 'log'> {
  readonly format: 'text' | 'json'
  readonly log: Log
  /** The only one of its process, whose terminal is its own. */
  readonly alone: boolean
}

/** One pipeline of a process, and what it tells. */
export class OnePipeline {
  readonly config: PipelineConfig
  readonly pause = new PauseSwitch()
  readonly replays = new Replays()
  readonly log: Log
  readonly controlled: ControlledRun
  /** Who follows it; undefined: nobody asks. */
  monitor: PipelineMonitor | undefined
  readonly #surroundings: PipelineSurroundings

  constructor(config: PipelineConfig, surroundings: PipelineSurroundings) {
    this.config = config
    this.log = surroundings.log
    this.controlled = new ControlledRun(surroundings.log)
    this.#surroundings = surroundings
    this.pause.onChange(this.#told)
  }

  /** By whoever may ask that. */
  readonly #told = () => {
    const [event, words] = this.pause.isOn
      ? ['paused', 'paused, as it was asked to: nothing is read until it is resumed']
      : ['resumed', 'goes on, as it was asked to']
    this.log('info', `pipeline ${this.config.name} ${words}`, { event })
  }

  /** Runs it to its end, and tells how it went; rejects with what ended it. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, monitor } = this
    const { control } = this.#surroundings
    monitor?.start()
    try {
      const summary = await runPipeline(
        config,
        {
          observer: monitor,
          pause: this.pause,
          replays: this.replays,
          event: (event) => {
            monitor?.told(event)
            tell(event, this.log)
          },
          locked: () =>
            ControlServer.open(
              { control, state: config.statePath, slot: config.source.slot },
              this.controlled,
              this.log,
            ),
          source: (source) => this.#follow(source),
          tryingAgain: (error) => {
            monitor?.tryingAgain(error)
            this.log('warn', `${error.message}; trying again`)
          },
        },
        signal,
      )
      monitor?.ended()
      summarise(config.name, summary, this.log)
    } catch (error) {
      monitor?.ended(error)
      throw error
    }
  }

  async #follow(source: PostgresSource): Promise<void> {
    const following = this.monitor && follow(source.events(), this.monitor)
    const controlled = this.controlled.attach(source)
    await reportEvents(source.events(), {
      drawn: this.#drawsProgress,
      log: this.log,
      passesOver: this.#knownStall(),
    })
    await controlled
    await following
  }

  /** That a pipeline stands still which somebody has paused is no news, nor is the end of that. */
  #knownStall(): (event: SourceEvent) => boolean {
    let known = false
    return (event) => {
      if (event.type === 'stalled') known = this.pause.isOn && event.side === 'consumer'
      return known && (event.type === 'stalled' || event.type === 'stall-ended')
    }
  }

  /** Where the records themselves go to the terminal, they would be written across what is drawn. */
  get #drawsProgress(): boolean {
    const { alone, format, quiet } = this.#surroundings
    const dumb = process.env.TERM === 'dumb' || process.env.CI !== undefined
    const recordsThere = process.stdout.isTTY && this.config.sinks.some(({ type }) => type === 'stdout')
    return alone && format === 'text' && process.stderr.isTTY === true && !dumb && !quiet && !recordsThere
  }
}

async function follow(events: AsyncIterable<SourceEvent>, monitor: PipelineMonitor): Promise<void> {
  for await (const event of events) monitor.saw(event)
}
