import { REQUEST_INVALID, REQUEST_NOT_FOUND } from '../../../core/httpErrors.js'
import type { Metrics } from '../metrics/metrics.js'
import type { Status } from '../status/status.js'
import { Cached } from './cached.js'
import type { ManagedPipeline } from './managedPipeline.js'
import { json, type Route, TEXT_TYPE } from './route.js'

/** So long an answer is the same for all who ask. */
const STATUS_MS = 200
const METRICS_MS = 1000

/** A pipeline that does, or may do, its work. */
const READY: readonly string[] = ['snapshot', 'streaming', 'paused', 'stopped']

export interface Process {
  readonly version: string
  readonly startedAt: Date
  readonly pipelines: readonly ManagedPipeline[]
  readonly metrics: Metrics
}

/** What the HTTP interface of a process answers. More routes, such as those of dead letters, stand beside these. */
export function apiRoutes(process: Process): readonly Route[] {
  const { pipelines } = process
  const statuses = new Cached(STATUS_MS, () => {
    const status = statusOf(process)
    const brief = () => ({ ...status, pipelines: status.pipelines.map((one) => ({ ...one, history: [] })) })
    return { whole: new Cached(STATUS_MS, () => json(status)), brief: new Cached(STATUS_MS, () => json(brief())) }
  })
  const metrics = new Cached(METRICS_MS, () => process.metrics.text(pipelines.map(({ monitor }) => monitor)))
  const pause = (on: boolean): Route['answer'] => {
    return ({ body }) => {
      for (const { pause } of namedOrAll(pipelines, body.pipeline)) pause.set(on)
      statuses.forget()
      return json(statusOf(process))
    }
  }
  return [
    { method: 'GET', path: '/healthz', open: true, answer: () => ({ type: TEXT_TYPE, body: 'ok\n' }) },
    {
      method: 'GET',
      path: '/readyz',
      open: true,
      answer: () => {
        const ready = pipelines.filter(({ monitor }) => READY.includes(monitor.state)).length
        const body = `${ready} of ${pipelines.length} ${pipelines.length === 1 ? 'pipeline' : 'pipelines'} ready\n`
        return { status: ready === pipelines.length ? 200 : 503, type: TEXT_TYPE, body }
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      answer: async () => ({ type: process.metrics.contentType, body: await metrics.get() }),
    },
    {
      method: 'GET',
      path: '/api/status',
      answer: ({ query }) => {
        const { whole, brief } = statuses.get()
        return (query.get('history') === '0' ? brief : whole).get()
      },
    },
    { method: 'POST', path: '/api/pause', answer: pause(true) },
    { method: 'POST', path: '/api/resume', answer: pause(false) },
    {
      method: 'POST',
      path: '/api/signal',
      answer: async ({ body: { pipeline, ...request }, gone }) =>
        json(await pipelineNamed(pipelines, pipeline).signal(request, gone)),
    },
  ]
}

function statusOf({ version, startedAt, pipelines }: Process): Status {
  return {
    version,
    startedAt: startedAt.toISOString(),
    now: new Date().toISOString(),
    pipelines: pipelines.map(({ monitor }) => monitor.status),
  }
}

function namedOrAll(pipelines: readonly ManagedPipeline[], name: unknown): readonly ManagedPipeline[] {
  return name === undefined ? pipelines : [pipelineNamed(pipelines, name)]
}

/** The one that is meant; the only one where none is named. */
export function pipelineNamed(pipelines: readonly ManagedPipeline[], name: unknown): ManagedPipeline {
  if (name === undefined && pipelines.length === 1) return pipelines[0]!
  if (name === undefined) throw REQUEST_INVALID({ problem: 'there are several pipelines, and "pipeline" is missing' })
  if (typeof name !== 'string') throw REQUEST_INVALID({ problem: '"pipeline" is no text' })
  const found = pipelines.find((pipeline) => pipeline.name === name)
  if (found === undefined)
    throw REQUEST_NOT_FOUND({ problem: `there is no pipeline ${JSON.stringify(name.slice(0, 100))}` })
  return found
}
