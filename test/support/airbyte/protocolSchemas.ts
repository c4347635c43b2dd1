import { Ajv, type ValidateFunction } from 'ajv'

// Written from the protocol's text (shared/reference/airbyte.md, section 1). Unknown properties are allowed everywhere.

const text = { type: 'string' }
const texts = { type: 'array', items: text }
const descriptor = { type: 'object', required: ['name'], properties: { name: text, namespace: text } }
const stats = {
  type: 'object',
  properties: { recordCount: { type: 'number' }, rejectedRecordCount: { type: 'number' } },
}
const streamState = {
  type: 'object',
  required: ['stream_descriptor'],
  properties: { stream_descriptor: descriptor, stream_state: { type: ['object', 'null'] } },
}

const REASONS = [
  'SOURCE_RECORD_SIZE_LIMITATION',
  'DESTINATION_RECORD_SIZE_LIMITATION',
  'PLATFORM_RECORD_SIZE_LIMITATION',
  'SOURCE_FIELD_SIZE_LIMITATION',
  'DESTINATION_FIELD_SIZE_LIMITATION',
  'PLATFORM_FIELD_SIZE_LIMITATION',
  'SOURCE_SERIALIZATION_ERROR',
  'DESTINATION_SERIALIZATION_ERROR',
  'PLATFORM_SERIALIZATION_ERROR',
  'SOURCE_RETRIEVAL_ERROR',
  'DESTINATION_TYPECAST_ERROR',
]

const record = {
  type: 'object',
  required: ['stream', 'data', 'emitted_at'],
  properties: {
    stream: text,
    namespace: text,
    data: { type: 'object' },
    emitted_at: { type: 'integer', minimum: 1_500_000_000_000 },
    meta: {
      type: 'object',
      properties: {
        changes: {
          type: 'array',
          items: {
            type: 'object',
            required: ['field', 'change', 'reason'],
            properties: { field: text, change: { enum: ['NULLED', 'TRUNCATED'] }, reason: { enum: REASONS } },
          },
        },
      },
    },
  },
}

const state = {
  type: 'object',
  properties: {
    type: { enum: ['STREAM', 'GLOBAL', 'LEGACY'] },
    stream: streamState,
    global: {
      type: 'object',
      required: ['stream_states'],
      properties: { shared_state: { type: ['object', 'null'] }, stream_states: { type: 'array', items: streamState } },
    },
    data: { type: 'object' },
    sourceStats: stats,
  },
  anyOf: [
    { properties: { type: { const: 'STREAM' } }, required: ['type', 'stream', 'sourceStats'] },
    { properties: { type: { const: 'GLOBAL' } }, required: ['type', 'global', 'sourceStats'] },
    { properties: { type: { const: 'LEGACY' } }, required: ['data'] },
  ],
}

const trace = {
  type: 'object',
  required: ['type', 'emitted_at'],
  properties: {
    type: { enum: ['ERROR', 'ESTIMATE', 'STREAM_STATUS', 'ANALYTICS'] },
    emitted_at: { type: 'number' },
    error: {
      type: 'object',
      required: ['message'],
      properties: {
        message: text,
        internal_message: text,
        stack_trace: text,
        failure_type: { enum: ['system_error', 'config_error', 'transient_error'] },
        stream_descriptor: descriptor,
      },
    },
    estimate: {
      type: 'object',
      required: ['name', 'type'],
      properties: {
        name: text,
        namespace: text,
        type: { enum: ['STREAM', 'SYNC'] },
        row_estimate: { type: 'integer' },
        byte_estimate: { type: 'integer' },
      },
    },
    stream_status: {
      type: 'object',
      required: ['stream_descriptor', 'status'],
      properties: {
        stream_descriptor: descriptor,
        status: { enum: ['STARTED', 'RUNNING', 'COMPLETE', 'INCOMPLETE'] },
      },
    },
  },
  anyOf: [
    { properties: { type: { const: 'ERROR' } }, required: ['error'] },
    { properties: { type: { const: 'ESTIMATE' } }, required: ['estimate'] },
    { properties: { type: { const: 'STREAM_STATUS' } }, required: ['stream_status'] },
  ],
}

const catalog = {
  type: 'object',
  required: ['streams'],
  properties: {
    streams: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'json_schema', 'supported_sync_modes'],
        properties: {
          name: text,
          namespace: text,
          json_schema: { type: 'object', required: ['properties'] },
          supported_sync_modes: { type: 'array', minItems: 1, items: { enum: ['full_refresh', 'incremental'] } },
          source_defined_cursor: { type: 'boolean' },
          default_cursor_field: texts,
          source_defined_primary_key: { type: 'array', items: texts },
          is_resumable: { type: 'boolean' },
          is_file_based: { type: 'boolean' },
        },
      },
    },
  },
}

const spec = {
  type: 'object',
  required: ['connectionSpecification'],
  properties: {
    connectionSpecification: { type: 'object' },
    documentationUrl: text,
    changelogUrl: text,
    supportsIncremental: { type: 'boolean' },
    supported_destination_sync_modes: texts,
    protocol_version: text,
  },
}

const log = {
  type: 'object',
  required: ['level', 'message'],
  properties: {
    level: { enum: ['FATAL', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'] },
    message: text,
    stack_trace: text,
  },
}

const connectionStatus = {
  type: 'object',
  required: ['status'],
  properties: { status: { enum: ['SUCCEEDED', 'FAILED'] }, message: text },
}

/** Payload key and its schema, by the message's type. */
const PAYLOADS: Readonly<Record<string, readonly [string, object]>> = {
  RECORD: ['record', record],
  STATE: ['state', state],
  LOG: ['log', log],
  SPEC: ['spec', spec],
  CONNECTION_STATUS: ['connectionStatus', connectionStatus],
  CATALOG: ['catalog', catalog],
  TRACE: ['trace', trace],
}

/** RFC 3339, with a date that there is. */
const DATE_TIME = /^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/
const isDate = (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text))

/** Draft 7, as the protocol has it; times are looked into, a zone may be missing where the schema says so beside. */
export const ajv = new Ajv({
  ...{ strict: false, allErrors: true, logger: false },
  formats: {
    date: isDate,
    'date-time': (text: string) => DATE_TIME.test(text) && isDate(text.slice(0, 10)),
  },
})
const validators = new Map<string, ValidateFunction>(
  Object.entries(PAYLOADS).map(([type, [key, schema]]) => [
    type,
    ajv.compile({ type: 'object', required: ['type', key], properties: { [key]: schema } }),
  ]),
)

/** What is wrong with a message; undefined when nothing is. */
export function messageProblem(message: { readonly type?: unknown }): string | undefined {
  const validate = validators.get(String(message.type))
  if (validate === undefined) return `there is no message of type ${String(message.type)}`
  const others = Object.keys(message).filter((key) => key !== 'type' && key !== PAYLOADS[String(message.type)]![0])
  if (others.length > 0) return `a ${String(message.type)} has ${others.join(', ')}, too`
  return validate(message) ? undefined : ajv.errorsText(validate.errors)
}
