import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { TABLE_OPERATIONS } from '../run/tableCounts.js'
import type { BatchMeter, PipelineMonitor } from '../status/pipelineMonitor.js'
import type { PipelineState, PipelineStatus, SafetyLevel, SinkStatus } from '../status/status.js'
import { type DeclaredMetric, LABELLED_TABLES, METRICS, type MetricName, OTHER_TABLES } from './declared.js'

const STATES: readonly PipelineState[] = [
  ...(['starting', 'snapshot', 'streaming', 'paused', 'retrying', 'failed', 'stopped'] as const),
]
const LEVELS: readonly SafetyLevel[] = ['safe', 'at_risk', 'in_trouble']

type Labels = Readonly<Record<string, string>>

/**
 * The metrics of a process. Histograms are counted once a batch; all else is read where it is kept anyway, when somebody asks.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #gauges = new Map<MetricName, Gauge>()
  readonly #counters = new Map<MetricName, Counter>()
  readonly #histograms = new Map<MetricName, Histogram>()
  readonly #version: string

  constructor(version: string) {
    this.#version = version
    for (const [key, declared] of Object.entries(METRICS) as [MetricName, DeclaredMetric][]) {
      const { name, help, kind, labels, buckets = [] } = declared
      const options = { name, help, labelNames: [...labels], registers: [this.#registry] }
      if (kind === 'gauge') this.#gauges.set(key, new Gauge(options))
      else if (kind === 'counter') this.#counters.set(key, new Counter(options))
      else this.#histograms.set(key, new Histogram({ ...options, buckets: [...buckets] }))
    }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Counts the batches of one pipeline. */
  meter(pipeline: string, sinks: readonly string[]): BatchMeter {
    const histogram = (metric: MetricName, labels: Labels) => this.#histograms.get(metric)!.labels(labels)
    const rows = histogram('batchRows', { pipeline })
    const bytes = histogram('batchBytes', { pipeline })
    const ofSinks = new Map(
      sinks.map((sink) => {
        const labels = { pipeline, sink }
        return [sink, { seconds: histogram('sinkWrite', labels), rows: histogram('sinkBatchRows', labels) }]
      }),
    )
    return {
      took: (records, received) => {
        rows.observe(records)
        bytes.observe(received)
      },
      wrote: (sink, records, seconds) => {
        const own = ofSinks.get(sink)
        own?.seconds.observe(seconds)
        own?.rows.observe(records)
      },
    }
  }

  /** In Prometheus's text format. */
  async text(pipelines: readonly PipelineMonitor[]): Promise<string> {
    for (const gauge of this.#gauges.values()) gauge.reset()
    for (const counter of this.#counters.values()) counter.reset()
    this.#set('build', { version: this.#version }, 1)
    this.#set('memory', {}, process.memoryUsage.rss())
    const { user, system } = process.cpuUsage()
    this.#add('cpu', {}, (user + system) / 1e6)
    this.#set('started', {}, performance.timeOrigin / 1000)
    for (const pipeline of pipelines) this.#pipeline(pipeline)
    return this.#registry.metrics()
  }

  #pipeline(monitor: PipelineMonitor): void {
    const { status } = monitor
    const pipeline = status.name
    const { safety, source, lag, slot, sinks } = status
    for (const state of STATES) this.#set('state', { pipeline, state }, state === status.state)
    for (const level of LEVELS) this.#set('safety', { pipeline, level }, level === safety.level)
    this.#set('connected', { pipeline }, source.connected)
    this.#add('reconnects', { pipeline }, monitor.reconnects)
    this.#set('lagBytes', { pipeline }, lag.bytes)
    this.#set('lagSeconds', { pipeline }, lag.seconds)
    this.#set('slotRetained', { pipeline }, slot?.retainedBytes)
    this.#set('slotLimit', { pipeline }, slot?.limitBytes)
    this.#set('slotSeconds', { pipeline }, slot?.secondsToLimit)
    this.#tables(monitor)
    this.#snapshot(status)
    for (const [processor, records] of monitor.skipped) this.#add('skipped', { pipeline, processor }, records)
    for (const sink of sinks) this.#sink(pipeline, sink)
  }

  #tables({ name: pipeline, tableCounts }: PipelineMonitor): void {
    let met = 0
    for (const [name, { records, bytes }] of tableCounts) {
      const table = met++ < LABELLED_TABLES ? name : OTHER_TABLES
      for (const [index, operation] of TABLE_OPERATIONS.entries()) {
        if (records[index] === 0) continue
        this.#add('sourceRows', { pipeline, table, operation }, records[index]!)
        this.#add('sourceBytes', { pipeline, table, operation }, bytes[index]!)
      }
    }
  }

  #snapshot({ name: pipeline, snapshot }: PipelineStatus): void {
    for (const { table, rows, estimatedRows, done } of snapshot) {
      this.#set('snapshotRows', { pipeline, table }, rows)
      this.#set('snapshotEstimate', { pipeline, table }, estimatedRows)
      this.#set('snapshotDone', { pipeline, table }, done)
    }
  }

  #sink(pipeline: string, sink: SinkStatus): void {
    const labels = { pipeline, sink: sink.name }
    this.#add('sinkRows', labels, sink.writtenRows)
    this.#add('sinkBytes', labels, sink.writtenBytes)
    this.#set('sinkPending', labels, sink.pendingBytes)
    this.#set('sinkUp', labels, sink.state === 'running')
    this.#set('sinkFlush', labels, sink.lastFlushAt === null ? null : Date.parse(sink.lastFlushAt) / 1000)
    this.#add('sinkRetries', labels, sink.retries)
    this.#add('sinkDeadLetters', labels, sink.deadLetters)
  }

  /** What is not known is no series. */
  #set(metric: MetricName, labels: Labels, value: number | boolean | null | undefined): void {
    if (value !== null && value !== undefined) this.#gauges.get(metric)!.set(labels, Number(value))
  }

  #add(metric: MetricName, labels: Labels, value: number): void {
    this.#counters.get(metric)!.inc(labels, value)
  }
}
