import { resolve } from 'node:path'
import * as z from 'zod'
import { setting } from '../../core/setting.js'
import { readTrust, type TlsOptions, type TlsTrust, tlsSettings } from '../../core/tls.js'
import type { HttpLimits } from './client.js'

const MIB = 1024 * 1024

/** Of every processor that asks a server. */
export function requestSettings(defaults: {
  readonly timeoutMs: number
  readonly timeLimitMs: number
  readonly concurrency: number
  readonly cacheBytes: number
}) {
  return {
    timeoutMs: setting(z.int().min(1).max(3_600_000).default(defaults.timeoutMs), {
      description: 'So long one request may take, its answer included.',
      unit: 'ms',
    }),
    retries: setting(z.int().min(0).max(100).default(5), {
      description:
        'So often a request is sent again that could not be, had no answer in time, or was answered with 408, 425, 429 or 5xx (not 501 and 505). Retry-After is waited for.',
    }),
    retryFirstMs: setting(z.int().min(1).max(600_000).default(500), {
      description:
        'Wait before the first retry; doubled from one to the next up to 30 s, and shortened at random by up to a half.',
      unit: 'ms',
    }),
    timeLimitMs: setting(z.int().min(1).max(86_400_000).default(defaults.timeLimitMs), {
      description: 'So long a record may take with all of its tries. One that would have to wait longer fails at once.',
      unit: 'ms',
    }),
    concurrency: setting(z.int().min(1).max(256).default(defaults.concurrency), {
      description: 'How many requests are on their way at a time. Records stay in their order.',
    }),
    cacheBytes: setting(
      z
        .int()
        .min(0)
        .max(1024 * MIB)
        .default(defaults.cacheBytes),
      {
        description:
          'How much of answers is kept, so that an equal request is not sent again; what was not needed the longest goes first. 0: nothing.',
        unit: 'bytes',
      },
    ),
    maxResponseBytes: setting(
      z
        .int()
        .min(1)
        .max(64 * MIB)
        .default(MIB),
      { description: 'An answer that is larger is not read to its end, and fails its record.', unit: 'bytes' },
    ),
    ...tlsSettings,
  } as const
}

/** What their settings say to a client. */
export function limitsOf(settings: Omit<HttpLimits, 'perMinute'>, perMinute = 0): HttpLimits {
  const { timeoutMs, timeLimitMs, retries, retryFirstMs, maxResponseBytes } = settings
  return { timeoutMs, timeLimitMs, retries, retryFirstMs, maxResponseBytes, perMinute }
}

/** How they say a server's certificate is looked at; undefined: as usual. Error: TLS_FILE_UNREADABLE. */
export function trustOf({ tlsCa, tlsInsecure }: TlsOptions, folder: string): TlsTrust | undefined {
  if (tlsCa === undefined && !tlsInsecure) return undefined
  return readTrust({ tlsCa: tlsCa && resolve(folder, tlsCa), tlsInsecure })
}
