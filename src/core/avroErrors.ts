import { defineError } from './tailraceError.js'

export const AVRO_SCHEMA_INVALID = defineError('AVRO_SCHEMA_INVALID', {
  retry: 'operator',
  message: (e: { place: string; problem: string }) =>
    `the Avro schema of a record cannot be read${e.place === '' ? '' : ` at ${e.place}`}: ${e.problem}`,
  hint: 'Look at the schema in the schema registry, under the subject and version that the record names; rows need a schema of type "record".',
})

export const AVRO_DATA_MALFORMED = defineError('AVRO_DATA_MALFORMED', {
  retry: 'operator',
  message: (e: { field: string; problem: string; offset: number; length: number }) =>
    `a record's Avro data cannot be read${e.field === '' ? '' : `, field ${e.field}`}: ${e.problem} at byte ${e.offset} of ${e.length}`,
  hint: 'The data was written with another schema than the one that the record names, or was cut. If a processor changed the data, have it change the schema too.',
})
