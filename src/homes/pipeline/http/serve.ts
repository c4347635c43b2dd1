import { parseConnectionString } from '../../../postgres/connectionString.js'
import { DEFAULT_PUBLICATION } from '../../../source/publications.js'
import type { PipelineConfig } from '../config/pipelineConfig.js'
import { Metrics } from '../metrics/metrics.js'
import { type PipelineFacts, PipelineMonitor } from '../status/pipelineMonitor.js'
import { apiRoutes } from './apiRoutes.js'
import { dlqRoutes } from './dlqRoutes.js'
import type { HttpChoice } from './httpChoice.js'
import { HttpServer } from './httpServer.js'
import type { ManagedPipeline } from './managedPipeline.js'
import { pageRoutes } from './pageFiles.js'

export interface ServeOptions extends HttpChoice {
  readonly version: string
  readonly startedAt: Date
  /** The folder of the page; it may be missing. */
  readonly page: string
  readonly pipelines: readonly ServedPipeline[]
  readonly onFault: (error: unknown) => void
}

export type ServedPipeline = Pick<ManagedPipeline, 'config' | 'pause' | 'replays' | 'signal'>

/** Listens for these pipelines; gives who follows each, in the same order, to be told what they do. */
export async function serve({ pipelines, ...options }: ServeOptions) {
  const { version, startedAt, address, token, page, onFault } = options
  const metrics = new Metrics(version)
  const managed = pipelines.map(({ config, pause, replays, signal }): ManagedPipeline => {
    const { name, sinks } = config
    const meter = metrics.meter(
      name,
      sinks.map((sink) => sink.name),
    )
    return { name, config, pause, replays, signal, monitor: new PipelineMonitor(factsOf(config), pause, meter) }
  })
  const routes = [
    ...apiRoutes({ version, startedAt, pipelines: managed, metrics }),
    ...dlqRoutes(managed),
    ...(await pageRoutes(page)),
  ]
  const server = await HttpServer.listen({ address, token, routes, onFault })
  return { server, monitors: managed.map(({ monitor }) => monitor) }
}

function factsOf({ name, source, sinks }: PipelineConfig): PipelineFacts {
  const { hosts, database } = parseConnectionString(source.url)
  const { slot = null, publication = DEFAULT_PUBLICATION, cdcMode, snapshot } = source
  const streams = cdcMode !== 'long_polling' && snapshot !== 'only'
  return {
    name,
    source: {
      host: hosts.map((host) => host.name || host.address).join(','),
      port: hosts[0]!.port,
      database,
      slot,
      publication: streams ? publication : null,
    },
    sinks: sinks.map(({ name, type, deadLetters }) => ({ name, type, deadLetters })),
  }
}
