import { ValueProblem } from '../sql/problem.js'
import type { Answer } from './answers.js'
import { type HttpClient, RequestProblem } from './client.js'

export interface ChatModelOptions {
  readonly apiKey?: string | undefined
  readonly baseUrl: string
  readonly model: string
  readonly prompt: string
  readonly maxTokens?: number | undefined
  readonly maxCompletionTokens?: number | undefined
  readonly temperature?: number | undefined
}

const SEVERAL = `

The user's message is a JSON array of texts. Do what stands above with each of them, as if it were the only one. Answer with a JSON object of the form {"answers": ["…", "…"]}, and nothing else: one string for each text, in their order.`

/** A service that completes chats as OpenAI's does. */
export class ChatModel {
  readonly #client: HttpClient
  readonly #options: ChatModelOptions
  readonly #url: URL

  constructor(client: HttpClient, options: ChatModelOptions) {
    this.#client = client
    this.#options = options
    this.#url = new URL(`${options.baseUrl.replace(/\/+$/, '')}/chat/completions`)
  }

  /** Asks about all of them together, and where the answer is not one for each, about each alone. */
  async answersTo(values: readonly string[]): Promise<Answer[]> {
    if (values.length === 1) return [{ text: await this.#complete(this.#options.prompt, values[0]!, {}) }]
    const together = await this.#together(values)
    if (together !== undefined) return together.map((text) => ({ text }))
    const answers: Answer[] = []
    for (const value of values) {
      const asked = this.#complete(this.#options.prompt, value, {}).then((text): Answer => ({ text }))
      answers.push(await asked.catch(failureOf))
    }
    return answers
  }

  async #together(values: readonly string[]): Promise<readonly string[] | undefined> {
    const { maxTokens, maxCompletionTokens, prompt } = this.#options
    const times = values.length
    try {
      const text = await this.#complete(prompt + SEVERAL, JSON.stringify(values), {
        response_format: { type: 'json_object' },
        ...(maxTokens !== undefined && { max_tokens: maxTokens * times }),
        ...(maxCompletionTokens !== undefined && { max_completion_tokens: maxCompletionTokens * times }),
      })
      const { answers } = JSON.parse(text) as { readonly answers?: unknown }
      const isWhole =
        Array.isArray(answers) && answers.length === times && answers.every((one) => typeof one === 'string')
      return isWhole && !answers.some((one: string) => one.includes('\0')) ? (answers as string[]) : undefined
    } catch (error) {
      // What the service has against one of them it may not have against the others; where it is down they need not be tried.
      if (error instanceof SyntaxError || (error instanceof ValueProblem && !mayPass(error))) return undefined
      throw error
    }
  }

  async #complete(prompt: string, value: string, more: object): Promise<string> {
    const { apiKey, model, maxTokens, maxCompletionTokens, temperature } = this.#options
    const body = {
      model,
      messages: [
        { role: 'system', content: prompt },
        { role: 'user', content: value },
      ],
      max_tokens: maxTokens,
      max_completion_tokens: maxCompletionTokens,
      temperature,
      ...more,
    }
    const headers = {
      'content-type': 'application/json',
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    }
    const text = await this.#client.send({ url: this.#url, method: 'POST', headers, body: JSON.stringify(body) })
    const content = contentOf(text)
    if (content === undefined) throw new ValueProblem(`${this.#url.origin} answers without a text, or has refused to`)
    if (content.includes('\0')) throw new ValueProblem(`${this.#url.origin} answers with a NUL character`)
    return content
  }
}

function mayPass(error: ValueProblem): boolean {
  return error instanceof RequestProblem && error.mayPass
}

function failureOf(error: unknown): Answer {
  if (error instanceof ValueProblem) return { failure: error }
  throw error
}

/** What the model said; undefined: nothing, or the answer is none. */
function contentOf(text: string): string | undefined {
  try {
    const { choices } = JSON.parse(text) as { choices?: readonly { message?: { content?: unknown } }[] }
    const content = choices?.[0]?.message?.content
    return typeof content === 'string' && content !== '' ? content : undefined
  } catch {
    return undefined
  }
}
