import type { AvroOptions } from '../../../codec/avro/index.js'
import type { Table } from '../../../core/table.js'
import type { SourceSettings } from '../source/sourceOptions.js'

/** Which parts of a record have a schema, and under which subject it is registered; undefined: that part has none. */
export interface SchemaWishes {
  readonly key: ((table: Table) => string) | undefined
  readonly payload: ((table: Table) => string) | undefined
  readonly avro: AvroOptions
}

type Part = 'key' | 'payload'

/**
 * Conduit's own connector has two ways to a schema: its own (`logrepl.withAvroSchema`, subject `orders_payload`), and, where
 * that is off, the one of the Go library (`sdk.schema.extract.…`, subject `orders.payload`). Here both are the same schema.
 */
export function schemaWishes({ values, given }: SourceSettings, connectorId: string): SchemaWishes {
  const own = values['logrepl.withAvroSchema']
  const context = values['sdk.schema.context.name'] || connectorId
  const prefix = values['sdk.schema.context.enabled'] && context !== '' ? `${context}:` : ''
  const subjectOf = (part: Part): SchemaWishes[Part] => {
    const enabled = `sdk.schema.extract.${part}.enabled` as const
    if (!(given.has(enabled) ? values[enabled] : own)) return undefined
    const subject = `sdk.schema.extract.${part}.subject` as const
    const rest = own && !given.has(subject) ? `_${part}` : `.${values[subject]}`
    return ({ name }) => `${prefix}${name}${rest}`
  }
  return {
    key: subjectOf('key'),
    payload: subjectOf('payload'),
    avro: { schemas: values['avro.schemas'], timestamps: values['avro.timestamps'], json: values['avro.json'] },
  }
}
