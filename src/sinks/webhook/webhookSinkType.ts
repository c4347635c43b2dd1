import { resolve } from 'node:path'
import * as z from 'zod'
import { setting } from '../../core/setting.js'
import { problemsWithoutTls, tlsSettings } from '../../core/tls.js'
import { formatSetting, lineOptions } from '../files/lineFormat.js'
import { maxLineBytesSetting } from '../files/settings.js'
import { type SettingProblem, type SinkPlace, sinkType } from '../sinkType.js'
import { BODIES } from './body.js'
import { problemOfHeaders } from './headers.js'
import { hiddenOf } from './hidden.js'
import { secretBytes } from './signature.js'
import { WebhookSink, type WebhookSinkOptions } from './webhookSink.js'

const DAY_MS = 86_400_000

export const webhookSettings = {
  url: setting(z.string().min(1), {
    description:
      'Where requests go, https or http. User and password in it are sent as Authorization. Redirects are not followed.',
    example: 'https://hooks.example.com/orders',
    secret: true,
  }),
  method: setting(z.enum(['POST', 'PUT', 'PATCH']).default('POST'), { description: 'Of each request.' }),
  headers: setting(z.record(z.string(), z.union([z.string(), z.number()])).default({}), {
    description: 'More headers of each request. Their values are never printed.',
    example: '{ Authorization: Bearer 5f2a }',
    secret: true,
  }),
  secret: setting(z.union([z.string(), z.array(z.string()).min(1)]).optional(), {
    description:
      'Signs each request as Standard Webhooks says: whsec_ and 24 to 64 bytes in base64. Of a list each one signs, so that receivers can change from one to the next.',
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    secret: true,
  }),
  format: formatSetting,
  maxLineBytes: maxLineBytesSetting,
  batchRecords: setting(z.int().min(1).max(100_000).default(1), {
    description: 'How many records a request has at most. 1: the body is the record itself.',
    example: '500',
  }),
  batchBytes: setting(
    z
      .int()
      .min(1024)
      .max(64 * 1024 * 1024)
      .default(1024 * 1024),
    {
      description: 'A request with several records is no larger, uncompressed. A larger record goes alone.',
      unit: 'bytes',
    },
  ),
  batchDelayMs: setting(z.int().min(0).max(10_000).default(0), {
    description:
      'So long a record waits for others that go with it, while no request is under way. The pipeline makes everything durable a few times a second, so that longer waits end sooner.',
    unit: 'ms',
  }),
  batchBody: setting(z.enum(BODIES).default('object'), {
    description:
      'With batch_records above 1, the body. object: {"id":…,"data":[…]}, with "ids" of the records where the format has none; array: […]; lines: a record a line (application/x-ndjson).',
  }),
  parallel: setting(z.int().min(1).max(64).default(4), {
    description:
      'Requests at a time. Of each key there is one, so that its records come in order; those of different keys come in any order, and with 1 all in the order of the commits.',
  }),
  gzip: setting(z.boolean().default(false), {
    description: 'Compress bodies. What is signed is the body before that.',
  }),
  timeoutMs: setting(z.int().min(1).max(3_600_000).default(30_000), {
    description: 'How long a request may take, its answer included.',
    unit: 'ms',
  }),
  retryMs: setting(z.int().min(0).max(DAY_MS).default(60_000), {
    description:
      'So long a request is tried again by itself, after waits from 250 ms to 15 s: without an answer, and after 408, 425, 429 and 5xx, not before Retry-After. Then the sink has failed, and what is not durable is sent anew as `retry` says.',
    unit: 'ms',
  }),
  endpointStatuses: setting(z.array(z.int().min(300).max(599)).default([401, 403, 404, 405, 407, 410]), {
    description:
      'Answers that are not about a record: the sink fails. Every other 4xx (but 408, 425, 429) rejects the record: see on_error.',
  }),
  circuitFailures: setting(z.int().min(0).max(1000).default(5), {
    description:
      'After so many failures in a row the endpoint is left alone for circuit_ms, and then asked with one request. 0: never.',
  }),
  circuitMs: setting(z.int().min(1).max(3_600_000).default(30_000), {
    description: 'How long that is.',
    unit: 'ms',
  }),
  ...tlsSettings,
}

type WebhookSettings = z.infer<z.ZodObject<typeof webhookSettings>>

/** Requests to one URL. */
export const webhookSinkType = sinkType({
  settings: webhookSettings,
  problems: problemsOf,
  create: (settings, place) => new WebhookSink(optionsOf(settings, place)),
})

function problemsOf({ url, headers, secret, ...tls }: WebhookSettings): readonly SettingProblem[] {
  const problems: SettingProblem[] = []
  const wrongUrl = problemOfUrl(url)
  if (wrongUrl !== undefined) problems.push({ name: 'url', problem: wrongUrl })
  const wrongHeaders = problemOfHeaders(headers)
  if (wrongHeaders !== undefined) problems.push({ name: 'headers', problem: wrongHeaders })
  if (secretsOf(secret).some((one) => secretBytes(one) === undefined)) {
    const problem = 'whsec_ and 24 to 64 bytes in base64 are expected; openssl rand -base64 32 makes some'
    problems.push({ name: 'secret', problem })
  }
  if (wrongUrl === undefined && new URL(url).protocol === 'http:') {
    problems.push(...problemsWithoutTls(tls, 'it needs a url with https'))
  }
  return problems
}

/** Says nothing of the text, which may have a password. */
function problemOfUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return 'a URL is expected, such as https://hooks.example.com/orders'
  const { protocol, hash, username, password } = new URL(text)
  if (protocol !== 'https:' && protocol !== 'http:') return `https or http is expected, not ${protocol.slice(0, -1)}`
  if (hash !== '') return 'what stands behind # is never sent'
  return /[\r\n]/.test(username + password) ? 'user and password have no line breaks' : undefined
}

function secretsOf(secret: WebhookSettings['secret']): readonly string[] {
  return secret === undefined ? [] : typeof secret === 'string' ? [secret] : secret
}

function optionsOf(settings: WebhookSettings, place: SinkPlace): WebhookSinkOptions {
  const url = new URL(settings.url)
  const secrets = secretsOf(settings.secret)
  const given = Object.entries(settings.headers).map(([name, value]) => [name.toLowerCase(), String(value)] as const)
  const { format, batchRecords, batchBytes, tlsCa, tlsInsecure } = settings
  return {
    endpoint: {
      url,
      method: settings.method,
      headers: { 'user-agent': 'tailrace', ...Object.fromEntries(given) },
      secrets: secrets.map((one) => secretBytes(one)!),
      hidden: hiddenOf(
        url,
        given.map(([, value]) => value),
        secrets,
      ),
      gzip: settings.gzip,
      timeoutMs: settings.timeoutMs,
      retryMs: settings.retryMs,
      endpointStatuses: settings.endpointStatuses,
      circuit: { failures: settings.circuitFailures, openMs: settings.circuitMs },
    },
    tls: { tlsCa: tlsCa && resolve(place.folder, tlsCa), tlsInsecure },
    lines: lineOptions(format, place),
    maxLineBytes: settings.maxLineBytes,
    body: {
      batch: batchRecords === 1 ? undefined : settings.batchBody,
      hasIds: format === 'tailrace' || format === 'ndjson',
    },
    most: { count: batchRecords, bytes: batchRecords === 1 ? Number.POSITIVE_INFINITY : batchBytes },
    delayMs: batchRecords === 1 ? 0 : settings.batchDelayMs,
    parallel: settings.parallel,
  }
}
