import { validateHeaderName, validateHeaderValue } from 'node:http'
import { resolve } from 'node:path'
import * as z from 'zod'
import { setting } from '../../core/setting.js'
import { problemsWithoutTls, tlsSettings } from '../../core/tls.js'
import { formatSetting, lineOptions } from '../files/lineFormat.js'
import { maxLineBytesSetting } from '../files/settings.js'
import { type SettingProblem, sinkType } from '../sinkType.js'
import { isLoopback } from './admission.js'
import { WebsocketClientSink } from './clientSink.js'
import { FrameLines, helloFrame } from './frames.js'
import { WebsocketServerSink } from './serverSink.js'

const KIB = 1024
const MIB = 1024 * KIB

const websocketSettings = {
  url: setting(z.string().min(1).optional(), {
    description: 'The peer to connect to: ws:// or wss://. Either this or listen.',
    example: 'wss://feed.example.com/orders',
    secret: true,
  }),
  headers: setting(z.record(z.string(), z.string()).default({}), {
    description: 'Headers of the request that opens the connection, with url.',
    example: '{authorization: Bearer 5ecret}',
    secret: true,
  }),
  listen: setting(z.string().min(1).optional(), {
    description: 'Where readers connect to, as host:port. Other than on this machine (127.0.0.1) token is needed.',
    example: '127.0.0.1:8090',
  }),
  token: setting(z.string().min(16, 'it is too short to be safe: 16 characters at least are expected').optional(), {
    description: 'What readers have to give, as the header authorization: Bearer TOKEN. With listen.',
    secret: true,
  }),
  ...tlsSettings,
  tlsCert: setting(z.string().min(1).optional(), {
    description:
      'File with the certificate that readers are shown, and those between it and its authority (PEM): then they connect with wss://. With listen and tls_key.',
    example: 'server.crt',
  }),
  tlsKey: setting(z.string().min(1).optional(), {
    description: 'File with its private key (PEM).',
    example: 'server.key',
  }),
  readers: setting(z.int().min(1).max(1000).default(1), {
    description:
      'So many readers must have acknowledged a record before it counts as delivered. With more than one each has to give its name: ?reader=NAME. With listen.',
  }),
  maxReaders: setting(z.int().min(1).max(10_000).default(100), {
    description: 'More are refused. With listen.',
  }),
  readerBytes: setting(
    z
      .int()
      .min(64 * KIB)
      .default(16 * MIB),
    {
      description: 'A reader that is so far behind, in bytes that it has not acknowledged, is cut off. With listen.',
      unit: 'bytes',
    },
  ),
  acks: setting(z.boolean().default(true), {
    description:
      'The peer acknowledges what it has safe. false: each record is a frame of its own, and counts as delivered when the system has taken it; what is under way when a connection is lost is lost. With url.',
  }),
  windowBytes: setting(
    z
      .int()
      .min(64 * KIB)
      .default(4 * MIB),
    {
      description: 'So many bytes may be under way without being acknowledged.',
      unit: 'bytes',
    },
  ),
  frameBytes: setting(
    z
      .int()
      .min(1 * KIB)
      .max(64 * MIB)
      .default(256 * KIB),
    {
      description: 'About the most that a frame of several records has. A larger record has a frame of its own.',
      unit: 'bytes',
    },
  ),
  ackTimeoutMs: setting(z.int().min(100).max(3_600_000).default(30_000), {
    description:
      'Without any acknowledgement for so long the connection is closed: with url that is an error, with listen the reader is cut off.',
    unit: 'ms',
  }),
  format: formatSetting,
  maxLineBytes: maxLineBytesSetting,
}

type WebsocketSettings = z.infer<z.ZodObject<typeof websocketSettings>>

const OF_URL = ['headers'] as const
const OF_LISTEN = ['token', 'tlsCert', 'tlsKey'] as const

export const websocketSinkType = sinkType({
  settings: websocketSettings,
  problems: (settings) => [...problemsOf(settings)],
  claims: ({ listen }) => listen && `websocket ${listen}`,
  create: (settings, place) => {
    const { url, listen, headers, acks, frameBytes, windowBytes, ackTimeoutMs, maxLineBytes } = settings
    const lines = new FrameLines(lineOptions(settings.format, place), frameBytes, maxLineBytes)
    const shared = { windowBytes, ackTimeoutMs, hello: helloFrame(place), lines }
    const fileOf = (path: string | undefined) => path && resolve(place.folder, path)
    const { tlsInsecure, token, readers, maxReaders, readerBytes } = settings
    if (url !== undefined) {
      const tls = { tlsCa: fileOf(settings.tlsCa), tlsInsecure }
      return new WebsocketClientSink({ ...shared, url, headers, acks, tls })
    }
    const [cert, key] = [settings.tlsCert, settings.tlsKey].map(fileOf)
    const tls = cert === undefined || key === undefined ? undefined : { cert, key }
    return new WebsocketServerSink({ ...shared, ...addressOf(listen!)!, token, tls, readers, maxReaders, readerBytes })
  },
})

function* problemsOf(settings: WebsocketSettings): Generator<SettingProblem> {
  const { url, listen, token, acks, windowBytes, readerBytes } = settings
  if (url === undefined && listen === undefined) {
    yield { name: 'url', problem: 'url or listen is required: whom to connect to, or where to be connected to' }
  } else if (url !== undefined && listen !== undefined)
    yield { name: 'listen', problem: 'either url or listen, not both' }
  else if (url !== undefined) {
    if (!/^wss?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
      yield { name: 'url', problem: 'a URL with ws:// or wss:// is expected' }
    } else if (new URL(url).hash !== '') yield { name: 'url', problem: 'a WebSocket’s URL has no #' }
    if (!url.startsWith('wss:')) yield* problemsWithoutTls(settings, 'it needs a url with wss')
    for (const name of OF_LISTEN)
      if (settings[name] !== undefined) yield { name, problem: 'it goes with listen, not with url' }
    for (const [name, value] of Object.entries(settings.headers)) {
      const problem = problemOfHeader(name, value)
      if (problem !== undefined) yield { name: 'headers', problem }
    }
  } else {
    for (const name of OF_URL) {
      if (Object.keys(settings[name]).length > 0) yield { name, problem: 'it goes with url, not with listen' }
    }
    yield* problemsWithoutTls(settings, 'it goes with url, not with listen')
    if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
      const [given, missing] = settings.tlsKey === undefined ? ['tlsCert', 'tls_key'] : ['tlsKey', 'tls_cert']
      yield { name: given!, problem: `${missing} is missing` }
    }
    if (!acks) yield { name: 'acks', problem: 'false goes with url: readers have to acknowledge' }
    if (readerBytes < windowBytes) yield { name: 'readerBytes', problem: 'it must not be less than window_bytes' }
    const address = addressOf(listen!)
    if (address === undefined)
      yield { name: 'listen', problem: 'host:port is expected, as 127.0.0.1:8090 or [::1]:8090' }
    else if (!isLoopback(address.host) && token === undefined) {
      const problem = `a token is needed to listen on ${address.host}, which others than this machine reach`
      yield { name: 'listen', problem }
    }
  }
}

/** Never with its value, which may be secret. */
function problemOfHeader(name: string, value: string): string | undefined {
  try {
    validateHeaderName(name)
  } catch {
    return `${JSON.stringify(name)} is no name of a header`
  }
  try {
    validateHeaderValue(name, value)
    return undefined
  } catch {
    return `the value of ${name} has a character that no header can have, such as the end of a line`
  }
}

function addressOf(listen: string): { readonly host: string; readonly port: number } | undefined {
  const [, inBrackets, name, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(listen) ?? []
  const host = inBrackets ?? name
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) }
}
