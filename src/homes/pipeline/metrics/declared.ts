/** A metric as `/metrics` has it. Names, units and kinds are Prometheus's conventions. */
export interface DeclaredMetric {
  readonly name: string
  readonly kind: 'gauge' | 'counter' | 'histogram'
  readonly labels: readonly string[]
  readonly help: string
  /** Of a histogram: the upper bounds. */
  readonly buckets?: readonly number[]
}

/** Of so many tables a metric has series of their own, in the order in which they were met; the others are one, `other`. */
export const LABELLED_TABLES = 200
export const OTHER_TABLES = 'other'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const ROWS = [1, 10, 100, 1000, 10_000, 100_000]
const BYTES = [1024, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216]

/** Every metric that there is: docs/http.md and the dashboard's test are made from it. */
export const METRICS = {
  build: {
    name: 'tailrace_build_info',
    kind: 'gauge',
    labels: ['version'],
    help: 'Always 1; which version runs.',
  },
  state: {
    name: 'tailrace_pipeline_state',
    kind: 'gauge',
    labels: ['pipeline', 'state'],
    help: '1 for the state that the pipeline is in, 0 for the others: starting, snapshot, streaming, paused, retrying, failed, stopped.',
  },
  safety: {
    name: 'tailrace_pipeline_safety',
    kind: 'gauge',
    labels: ['pipeline', 'level'],
    help: '1 for what is true of the data, 0 for the others: safe, at_risk, in_trouble.',
  },
  connected: {
    name: 'tailrace_source_connected',
    kind: 'gauge',
    labels: ['pipeline'],
    help: 'Whether the source is connected to its database.',
  },
  reconnects: {
    name: 'tailrace_source_retries_total',
    kind: 'counter',
    labels: ['pipeline'],
    help: 'How often the source, or the whole pipeline, was tried again.',
  },
  sourceRows: {
    name: 'tailrace_source_rows_total',
    kind: 'counter',
    labels: ['pipeline', 'table', 'operation'],
    help: 'Records taken from the source, before processors.',
  },
  sourceBytes: {
    name: 'tailrace_source_bytes_total',
    kind: 'counter',
    labels: ['pipeline', 'table', 'operation'],
    help: 'What they had as received. A batch of several tables or operations is shared by numbers of records.',
  },
  batchRows: {
    name: 'tailrace_source_batch_rows',
    kind: 'histogram',
    labels: ['pipeline'],
    help: 'Records of a batch of the source.',
    buckets: ROWS,
  },
  batchBytes: {
    name: 'tailrace_source_batch_bytes',
    kind: 'histogram',
    labels: ['pipeline'],
    help: 'Bytes of a batch of the source, as received.',
    buckets: BYTES,
  },
  lagBytes: {
    name: 'tailrace_lag_bytes',
    kind: 'gauge',
    labels: ['pipeline'],
    help: 'WAL from the last change taken to the server’s end, that of other tables included. Missing while it is not known.',
  },
  lagSeconds: {
    name: 'tailrace_lag_seconds',
    kind: 'gauge',
    labels: ['pipeline'],
    help: 'Age of the last transaction taken; 0 when nothing is left behind it. Missing while it is not known.',
  },
  slotRetained: {
    name: 'tailrace_slot_retained_bytes',
    kind: 'gauge',
    labels: ['pipeline'],
    help: 'WAL that the server keeps for the slot.',
  },
  slotLimit: {
    name: 'tailrace_slot_limit_bytes',
    kind: 'gauge',
    labels: ['pipeline'],
    help: 'How much it may keep, by max_slot_wal_keep_size or the run’s own budget, whichever is nearer. Missing where there is no limit.',
  },
  slotSeconds: {
    name: 'tailrace_slot_limit_seconds',
    kind: 'gauge',
    labels: ['pipeline'],
    help: 'Time until that limit, as fast as it grew in the last minute. Missing without a limit, or while it does not grow.',
  },
  snapshotRows: {
    name: 'tailrace_snapshot_rows',
    kind: 'gauge',
    labels: ['pipeline', 'table'],
    help: 'Rows of the table that were read, by the reading at work or the last one.',
  },
  snapshotEstimate: {
    name: 'tailrace_snapshot_estimated_rows',
    kind: 'gauge',
    labels: ['pipeline', 'table'],
    help: 'Rows that the table has by the server’s statistics.',
  },
  snapshotDone: {
    name: 'tailrace_snapshot_finished',
    kind: 'gauge',
    labels: ['pipeline', 'table'],
    help: 'Whether all rows of the table are read.',
  },
  sinkRows: {
    name: 'tailrace_sink_rows_total',
    kind: 'counter',
    labels: ['pipeline', 'sink'],
    help: 'Records that are durable in the sink, of those that this run gave it.',
  },
  sinkBytes: {
    name: 'tailrace_sink_bytes_total',
    kind: 'counter',
    labels: ['pipeline', 'sink'],
    help: 'What they had as received from the source.',
  },
  sinkPending: {
    name: 'tailrace_sink_pending_bytes',
    kind: 'gauge',
    labels: ['pipeline', 'sink'],
    help: 'Read, and not durable in the sink yet.',
  },
  sinkUp: {
    name: 'tailrace_sink_up',
    kind: 'gauge',
    labels: ['pipeline', 'sink'],
    help: 'Whether the sink takes what comes; 0 while it is opened, tried again, or has failed.',
  },
  sinkFlush: {
    name: 'tailrace_sink_last_flush_timestamp_seconds',
    kind: 'gauge',
    labels: ['pipeline', 'sink'],
    help: 'When the sink last made something durable.',
  },
  sinkRetries: {
    name: 'tailrace_sink_retries_total',
    kind: 'counter',
    labels: ['pipeline', 'sink'],
    help: 'How often the sink was tried again.',
  },
  sinkDeadLetters: {
    name: 'tailrace_sink_dead_letters_total',
    kind: 'counter',
    labels: ['pipeline', 'sink'],
    help: 'Records that the sink has put aside.',
  },
  sinkWrite: {
    name: 'tailrace_sink_write_duration_seconds',
    kind: 'histogram',
    labels: ['pipeline', 'sink'],
    help: 'How long the sink took for a batch.',
    buckets: SECONDS,
  },
  sinkBatchRows: {
    name: 'tailrace_sink_batch_rows',
    kind: 'histogram',
    labels: ['pipeline', 'sink'],
    help: 'Records of a batch that was written at once.',
    buckets: ROWS,
  },
  skipped: {
    name: 'tailrace_processor_skipped_rows_total',
    kind: 'counter',
    labels: ['pipeline', 'processor'],
    help: 'Records that a processor has left out since it failed on them.',
  },
  memory: {
    name: 'process_resident_memory_bytes',
    kind: 'gauge',
    labels: [],
    help: 'Memory of the process.',
  },
  cpu: {
    name: 'process_cpu_seconds_total',
    kind: 'counter',
    labels: [],
    help: 'Processor time of the process, of all its threads.',
  },
  started: {
    name: 'process_start_time_seconds',
    kind: 'gauge',
    labels: [],
    help: 'When the process began.',
  },
} as const satisfies Readonly<Record<string, DeclaredMetric>>

export type MetricName = keyof typeof METRICS
