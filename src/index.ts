export type {
  ChunkRange,
  CreateRecord,
  DeleteRecord,
  MessageRecord,
  Operation,
  Position,
  PositionJson,
  RowRecord,
  RowView,
  SchemaRecord,
  SnapshotRecord,
  Transaction,
  TruncateRecord,
  UpdateRecord,
} from './core/record.js'
export { type ChangeRecord, isOf } from './core/record.js'
export type { Column, ReplicaIdentity, Table } from './core/table.js'
export { type Retry, TailraceError } from './core/tailraceError.js'
export type { KeyEvent } from './destination/keyEvent.js'
export type { DestinationOptions } from './destination/options.js'
export { PostgresDestination } from './destination/postgresDestination.js'
export type { RetryPolicy } from './homes/pipeline/config/pipelineConfig.js'
export { type PipelineOptions, type PipelineSink, runPipeline, type SinkPolicy } from './homes/pipeline/library.js'
export type { PipelineEvent, PipelineSummary, SinkSummary } from './homes/pipeline/run/events.js'
export type { ProcessorEvent } from './processors/chain.js'
export type { SinkModule } from './sinks/custom/sinkModule.js'
export type { DeadLetterCount, FlushOptions, Reject, Sink, SinkEvent, SinkMark } from './sinks/sink.js'
export type { SettingProblem, SinkPlace } from './sinks/sinkType.js'
export type { Batch } from './source/batch.js'
export type { SourceEvent } from './source/events.js'
export type { SourceOptions } from './source/options.js'
export { PostgresSource } from './source/postgresSource.js'
