import { ValueProblem } from '../sql/problem.js'
import { TextCache } from './textCache.js'

export type Answer = { readonly text: string } | { readonly failure: ValueProblem }

export interface AnswersOptions<Input> {
  /** Asks for several at once; gives an answer for each, or rejects for all. */
  readonly ask: (inputs: readonly Input[]) => Promise<readonly Answer[]>
  /** So many are asked for by one request. */
  readonly perRequest: number
  /** So many requests are on their way at a time. */
  readonly concurrency: number
  /** Of answers, kept for equal inputs; 0: each is asked for. */
  readonly cacheBytes: number
  /** What makes two inputs equal. */
  readonly keyOf: (input: Input) => string
  /** When one fails, those behind it are not asked for any more, and fail alike. */
  readonly stopsAtFirst: boolean
}

/** Asks a server for the answers to a batch's inputs: several at a time, equal ones once, given in the inputs' order. */
export class Answers<Input> {
  readonly #options: AnswersOptions<Input>
  readonly #cache: TextCache | undefined

  constructor(options: AnswersOptions<Input>) {
    this.#options = options
    if (options.cacheBytes > 0) this.#cache = new TextCache(options.cacheBytes)
  }

  async of(inputs: readonly Input[]): Promise<readonly Answer[]> {
    const { keyOf } = this.#options
    if (this.#cache === undefined) return this.#asked(inputs)
    const answers = new Map<string, Answer>()
    const missing = new Map<string, Input>()
    const keys = inputs.map(keyOf)
    for (const [i, key] of keys.entries()) {
      if (answers.has(key)) continue
      const text = this.#cache.get(key)
      if (text === undefined) missing.set(key, inputs[i]!)
      else answers.set(key, { text })
    }
    const asked = await this.#asked([...missing.values()])
    for (const [i, key] of [...missing.keys()].entries()) {
      const answer = asked[i]!
      answers.set(key, answer)
      if ('text' in answer) this.#cache.set(key, answer.text)
    }
    return keys.map((key) => answers.get(key)!)
  }

  async #asked(inputs: readonly Input[]): Promise<readonly Answer[]> {
    const { ask, perRequest, concurrency, stopsAtFirst } = this.#options
    const answers: Answer[] = []
    let next = 0
    let failure: ValueProblem | undefined
    const work = async () => {
      while (next < inputs.length && !(stopsAtFirst && failure !== undefined)) {
        const from = next
        next += perRequest
        const some = inputs.slice(from, next)
        for (const [i, answer] of (await this.#answer(ask, some)).entries()) {
          answers[from + i] = answer
          if ('failure' in answer) failure ??= answer.failure
        }
      }
    }
    await Promise.all(Array.from({ length: concurrency }, work))
    return Array.from(inputs, (_, i) => answers[i] ?? { failure: failure! })
  }

  async #answer(ask: AnswersOptions<Input>['ask'], inputs: readonly Input[]): Promise<readonly Answer[]> {
    try {
      return await ask(inputs)
    } catch (error) {
      if (!(error instanceof ValueProblem)) throw error
      return inputs.map(() => ({ failure: error }))
    }
  }
}
