import { Webhook } from 'standardwebhooks'
import { WebhookReceiver } from '../../support/webhookReceiver.js'
import type { Random } from '../random.js'
import type { Received } from './ledger.js'

const WEIGHTS = {
  fine: 78,
  slow: 6,
  'failed before': 3,
  'failed behind': 3,
  'reset before': 2,
  'reset behind': 2,
  'silent before': 0.5,
  'silent behind': 0.5,
  'too many': 1,
  'too large': 4,
} as const
type Fault = keyof typeof WEIGHTS

/** A receiver that takes records before it answers, and fails at random before that or behind it. */
export class FailingReceiver implements AsyncDisposable {
  /** In the order in which they were taken. */
  readonly received: Received[] = []
  readonly faults = new Map<Fault, number>()
  readonly problems: string[] = []
  readonly #receiver: WebhookReceiver
  readonly #webhook: Webhook
  readonly #random: Random
  /** By id of a request: what records it had. */
  readonly #requests = new Map<string, string>()

  static async start(secret: string, random: Random): Promise<FailingReceiver> {
    return new FailingReceiver(await WebhookReceiver.start(), secret, random)
  }

  private constructor(receiver: WebhookReceiver, secret: string, random: Random) {
    this.#receiver = receiver
    this.#webhook = new Webhook(secret)
    this.#random = random
    receiver.answer = ({ headers, body }) => {
      receiver.requests.length = 0
      const records = this.#recordsOf(headers as Record<string, string>, body)
      const drawn = random.weighted(WEIGHTS)
      const fault = drawn === 'too large' && records.length < 3 ? 'fine' : drawn
      this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1)
      if (!/before|too/.test(fault)) this.received.push(...records)
      return this.#answerOf(fault)
    }
  }

  get url(): string {
    return this.#receiver.url
  }

  #answerOf(fault: Fault) {
    switch (fault) {
      case 'slow':
        return { delayMs: this.#random.integer(20, 700) }
      case 'failed before':
      case 'failed behind':
        return { status: this.#random.pick([500, 502, 503, 504, 408]) }
      case 'reset before':
      case 'reset behind':
        return { status: 'reset' as const }
      case 'silent before':
      case 'silent behind':
        return { status: 'none' as const }
      case 'too many':
        return { status: 429, headers: { 'retry-after': '1' } }
      case 'too large':
        return { status: 413 }
      default:
        return undefined
    }
  }

  #recordsOf(headers: Record<string, string>, body: string): Received[] {
    try {
      this.#webhook.verify(body, headers)
    } catch (error) {
      this.problems.push(`a signature is wrong: ${(error as Error).message}`)
    }
    const parsed = JSON.parse(body)
    const records: Received[] = parsed.data ?? [parsed]
    const ids = records.map(({ id }) => id).join(' ')
    const id = headers['webhook-id']!
    if ((this.#requests.get(id) ?? ids) !== ids) this.problems.push(`two requests have the id ${id}`)
    this.#requests.set(id, ids)
    return records.map(({ operation, table, key, oldKey, after, id }) => {
      return { operation, table, id, ...(key && { key }), ...(oldKey && { oldKey }), ...(after && { after }) }
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#receiver[Symbol.asyncDispose]()
  }
}
