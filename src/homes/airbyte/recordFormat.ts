import type { JsonSchema } from './discover/jsonSchema.js'

export type RecordFormat = 'airbyte' | 'estuary' | 'debezium'

const text = { type: 'string' }

/** What a record has beside the table's columns: declared in every stream's schema. */
export const METADATA: Readonly<Record<RecordFormat, Readonly<Record<string, JsonSchema>>>> = {
  airbyte: {
    _ab_cdc_lsn: { type: 'number' },
    _ab_cdc_updated_at: text,
    _ab_cdc_deleted_at: { type: ['string', 'null'] },
  },
  estuary: {
    _change_type: text,
    _change_lsn: { type: 'number' },
    _ingested_at: { type: 'integer' },
  },
  debezium: {
    _change_lsn: { type: 'number' },
    _meta: { type: 'object', additionalProperties: true },
  },
}

/** Which of them orders the records of a key. */
export const CURSOR: Readonly<Record<RecordFormat, string>> = {
  airbyte: '_ab_cdc_lsn',
  estuary: '_change_lsn',
  debezium: '_change_lsn',
}
