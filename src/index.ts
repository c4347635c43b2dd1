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
export type { DestinationOptions } from './destination/options.js'
export { PostgresDestination } from './destination/postgresDestination.js'
export type { Batch } from './source/batch.js'
export type { SourceEvent } from './source/events.js'
export type { SourceOptions } from './source/options.js'
export { PostgresSource } from './source/postgresSource.js'
