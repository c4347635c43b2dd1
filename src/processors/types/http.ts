import * as z from 'zod'
import { lineEncoder } from '../../codec/lines/lineEncoder.js'
import { ByteWriter } from '../../core/byteWriter.js'
import type { RowBatch } from '../../core/rowBatch.js'
import { setting } from '../../core/setting.js'
import type { Table } from '../../core/table.js'
import { columnIndex, tableWith, withTargets } from '../describe.js'
import { Answers } from '../http/answers.js'
import { asking } from '../http/asking.js'
import { HttpClient, type HttpRequest } from '../http/client.js'
import { Endpoint } from '../http/endpoint.js'
import { HeaderTemplates } from '../http/headers.js'
import { limitsOf, requestSettings, trustOf } from '../http/settings.js'
import type { Plan, Processor } from '../processor.js'
import { type ProcessorPlace, type ProcessorProblem, processorType } from '../processorType.js'
import { type RecordRows, rowsOf } from '../rows/recordRows.js'
import { jsonTextAt } from '../sql/jsonText.js'
import { NotSent, ValueProblem } from '../sql/problem.js'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const FORMATS = ['row', 'blink', 'tailrace'] as const

const settings = {
  endpoint: setting(z.string().min(1), {
    description:
      'The address that is asked for each row. {name} in its path or query stands for the text of that column, encoded; where it is NULL nothing is asked. {{ and }} are literal braces.',
    example: 'https://geo.example.com/v1/cities/{city_id}?lang=en',
    secret: true,
  }),
  method: setting(z.enum(METHODS).optional(), {
    description: 'How it is asked. Default: POST where there is a source, else GET.',
  }),
  headers: setting(z.record(z.string().min(1), z.string()).default({}), {
    description: 'Headers of the requests; {name} stands for the text of a column, as in endpoint.',
    example: `{authorization: "Bearer \${GEO_TOKEN}"}`,
    secret: true,
  }),
  basicAuthUser: setting(z.string().min(1).optional(), { description: 'User of HTTP’s basic authentication.' }),
  basicAuthPassword: setting(z.string().optional(), { description: 'Its password.', secret: true }),
  source: setting(z.string().min(1).optional(), {
    description: 'What is sent: a column’s value, as JSON; *: the row. Default: nothing.',
    example: 'address',
  }),
  format: setting(z.enum(FORMATS).default('row'), {
    description:
      'What source: * sends. row: the row; blink: the row in a list, as Blink sends it; tailrace: the whole record.',
  }),
  targetField: setting(z.string().min(1).optional(), {
    description: 'A column of type text for the answer as it is: one of the table, which is overwritten, or a new one.',
    example: 'geo',
  }),
  columns: setting(z.record(z.string().min(1), z.string().min(1)).default({}), {
    description:
      'Columns of type text, and where their values are in the answer, which is JSON: names of members, with dots where they lie deeper; a number is a place in an array. What is not there is NULL.',
    example: '{city: results.0.name}',
  }),
  ...requestSettings({ timeoutMs: 10_000, timeLimitMs: 120_000, concurrency: 4, cacheBytes: 0 }),
} as const

type Settings = z.infer<z.ZodObject<typeof settings>>

/** `type: http`. */
export const httpType = processorType({
  settings,
  problems,
  create: (given, place) => [new HttpProcessor(given, place)],
})

function problems({ endpoint, headers, ...given }: Settings): ProcessorProblem[] {
  const found = [
    ...thrown('endpoint', () => Endpoint.parse(endpoint)),
    ...thrown('headers', () => {
      const parsed = HeaderTemplates.parse(headers)
      if (given.basicAuthUser !== undefined && parsed.has('authorization')) {
        throw new Error('either authorization, or basic_auth_user')
      }
    }),
  ]
  if (given.basicAuthPassword !== undefined && given.basicAuthUser === undefined) {
    found.push({ name: 'basicAuthPassword', problem: 'basic_auth_user is missing' })
  }
  if (given.targetField !== undefined && Object.hasOwn(given.columns, given.targetField)) {
    found.push({ name: 'columns', problem: `${given.targetField} is target_field, too` })
  }
  return found
}

function thrown(name: string, parse: () => unknown): ProcessorProblem[] {
  try {
    parse()
    return []
  } catch (error) {
    return [{ name, problem: (error as Error).message }]
  }
}

class HttpProcessor implements Processor {
  readonly #settings: Settings
  readonly #place: ProcessorPlace
  readonly #endpoint: Endpoint
  readonly #headers: HeaderTemplates
  readonly #method: string
  readonly #targets: readonly string[]
  readonly #client: HttpClient
  readonly #answers: Answers<HttpRequest>

  constructor(given: Settings, place: ProcessorPlace) {
    this.#settings = given
    this.#place = place
    this.#endpoint = Endpoint.parse(given.endpoint)
    this.#headers = HeaderTemplates.parse(given.headers)
    this.#method = given.method ?? (given.source === undefined ? 'GET' : 'POST')
    this.#targets = [...(given.targetField === undefined ? [] : [given.targetField]), ...Object.keys(given.columns)]
    this.#client = new HttpClient(limitsOf(given), trustOf(given, place.folder))
    this.#answers = new Answers({
      ask: async ([request]) => {
        const text = await this.#client.send(request!)
        this.#valuesOf(text)
        return [{ text }]
      },
      perRequest: 1,
      concurrency: given.concurrency,
      cacheBytes: given.cacheBytes,
      keyOf: ({ url, headers, body }) =>
        `${url}\n${JSON.stringify(headers)}\n${Buffer.from(body ?? '').toString('latin1')}`,
      stopsAtFirst: place.onError === 'stop',
    })
  }

  plan(table: Table): Plan {
    const { name, codecs, onError } = this.#place
    for (const column of [...this.#endpoint.columns, ...this.#headers.columns]) columnIndex(name, table, column)
    const bodyOf = this.#bodyOf(table)
    const { table: after, indexes: targets } = withTargets(name, table, this.#targets, codecs)
    const compute = asking<HttpRequest>({
      ...{ table: after, targets, answers: this.#answers, stopsAtFirst: onError === 'stop' },
      inputOf: (rows, index) => this.#request(rowsOf(table, rows, index), () => bodyOf(rows, index)),
      valuesOf: (text) => this.#valuesOf(text),
    })
    return { kind: 'compute', compute }
  }

  async close(): Promise<void> {
    this.#client.close()
  }

  #request({ after }: RecordRows, bodyOf: () => Uint8Array | undefined): HttpRequest | null {
    let isNull = false
    const textOf = (column: string) => {
      const text = after!.text(column)
      if (text === undefined) throw new NotSent(column)
      if (text === null) isNull = true
      return text ?? ''
    }
    const url = this.#endpoint.urlFor(textOf)
    const headers = this.#headers.of(textOf)
    if (isNull) return null
    const body = bodyOf()
    const { basicAuthUser: user, basicAuthPassword: password = '' } = this.#settings
    if (user !== undefined) headers.authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
    if (body !== undefined) headers['content-type'] ??= 'application/json'
    return { url, method: this.#method, headers, body }
  }

  /** Throws `NotSent` where there is nothing to send. */
  #bodyOf(table: Table): (rows: RowBatch, index: number) => Uint8Array | undefined {
    const { source, format } = this.#settings
    if (source === undefined) return () => undefined
    if (source === '*') {
      const encoder = lineEncoder({ format, origin: { name: '', database: '' } })
      return (rows, index) => {
        const writer = new ByteWriter(1024)
        encoder.write(writer, rows, index, index + 1)
        return writer.toBuffer().subarray(0, -1)
      }
    }
    const one = tableWith(table, { selected: [columnIndex(this.#place.name, table, source)] })
    // Behind `{"name":`, and before `}`.
    const start = Buffer.byteLength(JSON.stringify(source)) + 2
    return (rows, index) => {
      const { after } = rowsOf(one, rows, index)
      if (after!.unchanged().length > 0) throw new NotSent(source)
      return after!.toJsonBytes().subarray(start, -1)
    }
  }

  #valuesOf(text: string): (string | null)[] {
    const { targetField, columns } = this.#settings
    const paths = Object.values(columns)
    const whole = targetField === undefined ? [] : [text]
    if (paths.length === 0) return whole
    if (text === '') return [...whole, ...paths.map(() => null)]
    try {
      JSON.parse(text)
    } catch {
      throw new ValueProblem(`${this.#endpoint.origin} answers with what is no JSON`)
    }
    const values = paths.map((path) => jsonTextAt(text.trim(), path.split('.')))
    if (values.some((value) => value?.includes('\0')))
      throw new ValueProblem(`${this.#endpoint.origin} answers with a NUL character`)
    return [...whole, ...values]
  }
}
