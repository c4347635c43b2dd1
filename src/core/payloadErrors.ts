import { defineError } from './tailraceError.js'

export const PAYLOAD_INVALID = defineError('PAYLOAD_INVALID', {
  retry: 'operator',
  message: (e: { column: string; problem: string }) =>
    `a record's data cannot be written${e.column === '' ? '' : `, column ${e.column}`}: ${e.problem}`,
  hint: 'Rows come as structured data, as Avro with its schema in the metadata, or as a JSON object. Bytes of other forms are decoded by a processor before (json.decode, avro.decode), or the source is told to send one of these.',
})
