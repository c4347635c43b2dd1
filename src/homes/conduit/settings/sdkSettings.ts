import * as z from 'zod'
import { setting } from '../../../core/setting.js'

/** What users know of every connector that the Go library makes; defaults are those of the Go Postgres connector. */
export const sdkSourceSettings = {
  'sdk.batch.size': setting(z.int().min(0).default(0), {
    description:
      'Records in a message to Conduit at most; 0: as many as were read together. A batch that is not full is sent after sdk.batch.delay, or after a second where there is none.',
    example: '1000',
  }),
  'sdk.batch.delay': setting(z.int().min(0).default(0), {
    description: 'The longest that the first record of a batch waits for others; 0 without sdk.batch.size: not at all.',
    unit: 'ms',
    example: '500ms',
  }),
  'sdk.schema.context.enabled': setting(z.boolean().default(true), {
    description: 'Prefix the subjects of schemas, so that those of two connectors are told apart.',
  }),
  'sdk.schema.context.name': setting(z.string().default(''), {
    description: "The prefix of the subjects of schemas; empty: the connector's id.",
  }),
  'sdk.schema.extract.type': setting(z.enum(['avro']).default('avro'), {
    description: 'The kind of schema that is extracted.',
  }),
  'sdk.schema.extract.payload.enabled': setting(z.boolean().default(true), {
    description: 'Rows are Avro, and have a schema. Not given: as logrepl.withAvroSchema says.',
  }),
  'sdk.schema.extract.payload.subject': setting(z.string().default('payload'), {
    description:
      "The last part of the subject of a payload's schema, behind a dot: orders.payload. Not given while logrepl.withAvroSchema is true: orders_payload, as in Conduit's own connector.",
  }),
  'sdk.schema.extract.key.enabled': setting(z.boolean().default(true), {
    description: 'Keys are Avro, and have a schema. Not given: as logrepl.withAvroSchema says.',
  }),
  'sdk.schema.extract.key.subject': setting(z.string().default('key'), {
    description: "The same of a key's schema: orders.key, or orders_key.",
  }),
} as const

/** The same of destinations. */
export const sdkDestinationSettings = {
  'sdk.batch.size': setting(z.int().min(0).default(0), {
    description:
      'Records in a transaction at most; 0: all that have come, up to 10,000 or 8 MB, and a message of Conduit is never parted. Given, records wait until so many have come, or for sdk.batch.delay, or for a second where there is none.',
    example: '1000',
  }),
  'sdk.batch.delay': setting(z.int().min(0).default(0), {
    description:
      'The longest that a record waits for others to be written with it; 0 without sdk.batch.size: not at all.',
    unit: 'ms',
    example: '500ms',
  }),
  'sdk.rate.perSecond': setting(z.number().min(0).default(0), {
    description: 'Records in a second at most, on the average; 0: as many as come.',
    example: '1000',
  }),
  'sdk.rate.burst': setting(z.int().min(0).default(0), {
    description: 'With sdk.rate.perSecond, records that may be written at once; 0: those of a second.',
  }),
  'sdk.record.format': setting(z.enum(['opencdc/json', 'debezium/json', 'template']).default('opencdc/json'), {
    description: 'Has no effect: it is for destinations that write records as text.',
  }),
  'sdk.record.format.options': setting(z.string().default(''), {
    description: 'Has no effect, like sdk.record.format.',
  }),
  'sdk.schema.extract.payload.enabled': setting(z.boolean().default(true), {
    description:
      'Decode before and after by the Avro schema that the metadata names. false: raw data is taken for a JSON object.',
  }),
  'sdk.schema.extract.key.enabled': setting(z.boolean().default(true), {
    description: 'The same of the key.',
  }),
} as const
