import * as z from 'zod'
import { setting } from '../../core/setting.js'
import type { Table } from '../../core/table.js'
import { columnIndex, withTargets } from '../describe.js'
import { type Answer, Answers } from '../http/answers.js'
import { asking } from '../http/asking.js'
import { ChatModel } from '../http/chatModel.js'
import { HttpClient } from '../http/client.js'
import { isHeaderValue } from '../http/headers.js'
import { limitsOf, requestSettings, trustOf } from '../http/settings.js'
import type { Plan, Processor } from '../processor.js'
import { type ProcessorPlace, type ProcessorProblem, processorType } from '../processorType.js'
import { rowsOf } from '../rows/recordRows.js'
import { NotSent } from '../sql/problem.js'

const settings = {
  apiKey: setting(z.string().min(1).optional(), {
    description: 'Key of the service, sent as a bearer token. Local servers may need none.',
    example: `\${OPENAI_API_KEY}`,
    secret: true,
  }),
  baseUrl: setting(z.string().min(1).default('https://api.openai.com/v1'), {
    description: 'Where the service is: any that answers POST /chat/completions as OpenAI does.',
    example: 'http://localhost:11434/v1',
  }),
  model: setting(z.string().min(1), { description: 'The model, as the service calls it.', example: 'gpt-4o-mini' }),
  prompt: setting(z.string().min(1), {
    description: 'What is to be done with the value, as system message; the value itself is the user’s.',
    example: 'Give the tone of this review in one word: good, bad or mixed.',
  }),
  sourceField: setting(z.string().min(1), {
    description:
      'The column whose text is sent. Where it is NULL, or empty, nothing is asked, and target_field is NULL.',
    example: 'review',
  }),
  targetField: setting(z.string().min(1), {
    description: 'A column of type text for the answer: one of the table, which is overwritten, or a new one.',
    example: 'tone',
  }),
  maxTokens: setting(z.int().min(1).optional(), {
    description:
      'The longest answer, as max_tokens of the request. Newer models of OpenAI want max_completion_tokens instead.',
  }),
  maxCompletionTokens: setting(z.int().min(1).optional(), {
    description: 'The same as max_completion_tokens of the request.',
  }),
  temperature: setting(z.number().min(0).max(2).optional(), {
    description: 'As of the request. Default: the service’s own.',
  }),
  batchSize: setting(z.int().min(1).max(100).default(1), {
    description:
      'How many values one request asks about: fewer tokens for the prompt, but the model sees them together. Where its answer is not one for each, each is asked about alone.',
  }),
  limitPerMinute: setting(z.int().min(0).max(1_000_000).default(0), {
    description: 'So many requests are sent in a minute at most, evenly. 0: as many as there are.',
  }),
  ...requestSettings({ timeoutMs: 60_000, timeLimitMs: 300_000, concurrency: 4, cacheBytes: 16 * 1024 * 1024 }),
} as const

type Settings = z.infer<z.ZodObject<typeof settings>>

/** `type: openai`. */
export const openaiType = processorType({
  settings,
  problems,
  create: (given, place) => [new OpenaiProcessor(given, place)],
})

function problems({ apiKey = '', baseUrl, maxTokens, maxCompletionTokens }: Settings): ProcessorProblem[] {
  const found: ProcessorProblem[] = []
  if (!isHeaderValue(apiKey)) {
    found.push({ name: 'apiKey', problem: 'it has a line break, or another character that headers cannot have' })
  }
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    found.push({ name: 'baseUrl', problem: 'https://host/path is expected' })
  } else if (url.username !== '' || url.search !== '') {
    found.push({ name: 'baseUrl', problem: 'neither a user nor a query can stand in it' })
  }
  if (maxTokens !== undefined && maxCompletionTokens !== undefined) {
    found.push({ name: 'maxTokens', problem: 'either max_tokens, or max_completion_tokens' })
  }
  return found
}

class OpenaiProcessor implements Processor {
  readonly #settings: Settings
  readonly #place: ProcessorPlace
  readonly #client: HttpClient
  readonly #answers: Answers<string>

  constructor(given: Settings, place: ProcessorPlace) {
    this.#settings = given
    this.#place = place
    this.#client = new HttpClient(limitsOf(given, given.limitPerMinute), trustOf(given, place.folder))
    const model = new ChatModel(this.#client, given)
    this.#answers = new Answers({
      ask: async (values): Promise<Answer[]> => model.answersTo(values),
      perRequest: given.batchSize,
      concurrency: given.concurrency,
      cacheBytes: given.cacheBytes,
      keyOf: (value) => value,
      stopsAtFirst: place.onError === 'stop',
    })
  }

  plan(table: Table): Plan {
    const { name, codecs, onError } = this.#place
    const { sourceField, targetField } = this.#settings
    columnIndex(name, table, sourceField)
    const { table: after, indexes: targets } = withTargets(name, table, [targetField], codecs)
    const compute = asking<string>({
      ...{ table: after, targets, answers: this.#answers, stopsAtFirst: onError === 'stop' },
      inputOf: (rows, index) => {
        const text = rowsOf(table, rows, index).after!.text(sourceField)
        if (text === undefined) throw new NotSent(sourceField)
        return text === '' ? null : text
      },
      valuesOf: (text) => [text],
    })
    return { kind: 'compute', compute }
  }

  async close(): Promise<void> {
    this.#client.close()
  }
}
