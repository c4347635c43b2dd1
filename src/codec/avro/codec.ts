import type { ByteRoom } from '../../core/byteWriter.js'

/** How the values of one type become Avro. For one thread of calls, as a `ColumnCodec` is. */
export interface AvroCodec {
  /** JSON text of the type, without a union. */
  readonly schema: string
  /** Writes the value in text form at `src[start..end)`, which fits. */
  readonly write: (writer: ByteRoom, src: Uint8Array, start: number, end: number) => void
  /** Whether the type has room for the value; undefined: for all of them. */
  readonly fits: ((src: Uint8Array, start: number, end: number) => boolean) | undefined
  /** Of a decimal: how many places its bytes have behind the point. */
  readonly scale?: number | undefined
}

/** Each option's first value is its default. */
export interface AvroOptions {
  /**
   * `nullable`: every column is a union with null, but for key columns that are NOT NULL; an unconstrained numeric is a
   * string. `connector`: as Conduit's own Postgres connector has them, no unions, for the types that it knows, and an
   * unconstrained numeric is decimal(65535, 65531).
   */
  readonly schemas?: 'nullable' | 'connector' | undefined
  /** timestamp without time zone: `local-timestamp-micros`, or a string as in JSON. */
  readonly timestamps?: 'local' | 'text' | undefined
  /** json and jsonb: `bytes`, as Conduit's own connector has them, or a string. */
  readonly json?: 'bytes' | 'string' | undefined
}
