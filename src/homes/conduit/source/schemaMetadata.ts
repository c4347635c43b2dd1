import type { SchemaReference } from '../schema/schemaService.js'
import type { RegisteredSchema } from './payloadFormat.js'

/** What metadata say of the schemas of a record's parts. */
export function schemaMetadata(
  key: SchemaReference | undefined,
  payload: SchemaReference | undefined,
): Readonly<Record<string, string>> {
  return { ...referenceMetadata('key', key), ...referenceMetadata('payload', payload) }
}

function referenceMetadata(part: RegisteredSchema['part'], reference: SchemaReference | undefined): object {
  if (reference === undefined) return {}
  const { subject, version } = reference
  return { [`opencdc.${part}.schema.subject`]: subject, [`opencdc.${part}.schema.version`]: String(version) }
}
