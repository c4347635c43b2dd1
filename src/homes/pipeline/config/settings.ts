import * as z from 'zod'
import { setting } from '../../../core/setting.js'

const MIB = 1024 * 1024

/** Of the pipeline as a whole. */
export const pipelineSettings = {
  name: setting(
    z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,50}$/, 'letters, digits, "_" and "-" are expected, 50 at most')
      .optional(),
    {
      description:
        'What the pipeline is called. Its slot is tailrace_NAME unless the source has a slot. Default: the name of the file.',
      example: 'shop',
    },
  ),
  state: setting(z.string().min(1).optional(), {
    description:
      'File that keeps how far each sink is, beside the pipeline’s file if relative. Default: the name of the pipeline’s file, with .state.',
    example: '/var/lib/tailrace/shop.state',
  }),
  bufferBytes: setting(
    z
      .int()
      .min(64 * 1024)
      .default(16 * MIB),
    {
      description:
        'How far a sink may be behind before the others wait for it: what its batches take of memory, which is the bytes received, where their columns begin and end (about 100 bytes for a row of eight columns), and what processors made of them. What no sink needs any more is let go of.',
      unit: 'bytes',
    },
  ),
  http: setting(z.union([z.string().min(1), z.int().min(0).max(65_535)]).optional(), {
    description:
      'Where the process listens over HTTP: status, metrics, pause and signals, as docs/http.md has it. A port alone is one of 127.0.0.1; any other address needs a token. --http of the command goes before it. Default: nowhere.',
    example: '127.0.0.1:8080',
  }),
  httpToken: setting(z.string().min(1).optional(), {
    description: 'What whoever asks over HTTP has to know, 16 characters at least; best from the environment.',
    secret: true,
  }),
  httpTokenFile: setting(z.string().min(1).optional(), {
    description: 'The same from a file, beside the pipeline’s file if relative.',
    example: '/run/secrets/tailrace-token',
  }),
} as const

/** Of each processor, whatever its type. */
export const processorSettings = {
  streams: setting(z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional(), {
    description: 'Tables that it is for, as `tables` of the source names them. Default: all.',
    example: 'orders, sales.inv_*',
  }),
  if: setting(z.string().min(1).optional(), {
    description:
      'Only rows that this condition, in SQL, is true of; the others pass as they are. Of a delete the row before is asked.',
    example: "country = 'DE'",
  }),
  onError: setting(z.enum(['stop', 'skip']).default('stop'), {
    description:
      'When it fails on a record. stop: the pipeline ends with the error. skip: the record is left out, which is logged with its id.',
  }),
} as const

/** Of each sink, whatever its type. */
export const sinkSettings = {
  onError: setting(z.enum(['stop', 'retry', 'dead-letter']).default('stop'), {
    description:
      'When the sink fails. stop: what may pass by itself (a lost connection, a server that starts) is tried again as `retry` says, and any other error ends the pipeline. retry: every error is tried again. dead-letter: as stop, but a record that the sink rejects is put aside, with the reason, where `dead_letter` says. Nothing is skipped.',
  }),
} as const

/** Under `dead_letter`. */
export const deadLetterSettings = {
  file: setting(z.string().min(1).optional(), {
    description:
      'A file to which they are appended, a line of JSON each; beside the pipeline’s file if relative. Default, without url: PIPELINE.SINK.dead-letters.ndjson.',
    example: 'rejected.ndjson',
  }),
  url: setting(z.string().min(1).optional(), {
    description:
      'Instead of a file, a database in whose table dead_letter they are put. A postgres sink has its own database for that.',
    example: 'postgres://app@localhost/ops',
    secret: true,
  }),
  schema: setting(z.string().min(1).default('tailrace'), {
    description: 'Schema of that table, made where it is missing.',
  }),
} as const

/** Under `retry`. */
export const retrySettings = {
  firstMs: setting(z.int().min(1).max(3_600_000).default(500), {
    description: 'Wait before the first try; doubled from one to the next, and shortened at random by up to a half.',
    unit: 'ms',
  }),
  maxMs: setting(z.int().min(1).max(3_600_000).default(30_000), { description: 'No wait is longer.', unit: 'ms' }),
  attempts: setting(z.int().min(0).default(0), {
    description: 'After so many tries without any progress the pipeline ends with the error; 0: never.',
  }),
} as const
