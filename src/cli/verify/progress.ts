import { count, describeSeconds } from '../../core/quantity.js'
import type { VerifyEvent } from '../../verify/events.js'
import { log } from '../log.js'

/** The servers say nothing while they read a table: so often is told that they do. */
const STILL_MS = 10_000

/** Tells on stderr what is being done, a line each. */
export class ProgressLines {
  readonly #quiet: boolean
  #timer: NodeJS.Timeout | undefined

  constructor({ quiet }: { readonly quiet: boolean }) {
    this.#quiet = quiet
  }

  show(event: VerifyEvent): void {
    if (this.#quiet) return
    this.rest()
    log('info', describe(event), { event: event.type })
    if (event.type === 'connected' || event.type === 'repaired') return
    const begun = performance.now()
    this.#timer = setInterval(() => {
      const seconds = Math.round((performance.now() - begun) / 1000)
      log('info', `${event.table}: still ${DOING[event.type]}, since ${describeSeconds(seconds)}`)
    }, STILL_MS)
  }

  /** Nothing is being done. */
  rest(): void {
    clearInterval(this.#timer)
  }
}

const DOING = { reading: 'being read', narrowing: 'reading what differs', settling: 'looking' } as const

function describe(event: VerifyEvent): string {
  switch (event.type) {
    case 'connected':
      return `comparing ${plural(event.tables, 'table')} of ${event.source} with ${event.target}`
    case 'reading': {
      const rows = event.estimatedRows === undefined ? '' : `, about ${count(event.estimatedRows)} rows`
      return `${event.table}: reading it and ${event.target}${rows}`
    }
    case 'narrowing':
      return `${event.table}: ${count(event.buckets)} of ${count(event.of)} checksums differ; reading their rows`
    case 'settling': {
      const wait = event.seconds === 0 ? '' : `, until they have stood still for ${describeSeconds(event.seconds)}`
      return `${event.table}: ${plural(event.rows, 'row')} looked different; looking again${wait}`
    }
    case 'repaired':
      return `${event.table}: repaired: ${count(event.inserted)} inserted, ${count(event.updated)} updated, ${count(event.deleted)} deleted`
  }
}

function plural(amount: number, noun: string): string {
  return `${count(amount)} ${noun}${amount === 1 ? '' : 's'}`
}
