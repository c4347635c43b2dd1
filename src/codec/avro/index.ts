export type { AvroOptions } from './codec.js'
export { AvroDecoder } from './read/decoder.js'
export type { AvroRecord } from './record.js'
export { type AvroShape, type AvroTable, avroTable, NO_TUPLE } from './shape.js'
