import type { HttpChoice } from '../../homes/pipeline/http/httpChoice.js'
import { readCommand } from '../control/protocol.js'
import { log } from '../log.js'
import { pageFolder } from '../pageFolder.js'
import { packageVersion } from '../version.js'
import type { OnePipeline } from './onePipeline.js'

/** Listens over HTTP for these pipelines, which do not run yet, and has each followed. */
export async function openHttp(choice: HttpChoice, pipelines: readonly OnePipeline[]): Promise<AsyncDisposable> {
  // Only who listens has it loaded.
  const { serve } = await import('../../homes/pipeline/http/serve.js')
  const { server, monitors } = await serve({
    ...choice,
    version: packageVersion(),
    startedAt: new Date(performance.timeOrigin),
    page: pageFolder,
    pipelines: pipelines.map(({ config, pause, replays, controlled }) => ({
      ...{ config, pause, replays },
      signal: async ({ command, ...request }, abandoned) => {
        return controlled.handle(readCommand(command, request), abandoned)
      },
    })),
    onFault: (error) => {
      log('error', `internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`)
    },
  })
  for (const [index, pipeline] of pipelines.entries()) pipeline.monitor = monitors[index]
  log('info', `listening at ${server.url}`, { event: 'http-listening', url: server.url })
  return server
}
