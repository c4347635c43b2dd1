import { HISTORY_SAMPLES, HISTORY_SECONDS, type HistorySample } from './status.js'

/** The last hour, of which the oldest sample goes when a new one comes. */
export class History {
  #samples: HistorySample[] = []
  #last: { readonly at: number; readonly rows: number; readonly bytes: number } | undefined

  /** `rows` and `bytes` were read in all `at` this time, in milliseconds. Takes a sample if it is time for one. */
  look(
    at: number,
    { rows, bytes }: { readonly rows: number; readonly bytes: number },
    known: Pick<HistorySample, 'lagBytes' | 'lagSeconds' | 'retainedBytes'>,
  ): void {
    const last = this.#last
    if (last !== undefined && at - last.at < HISTORY_SECONDS * 1000) return
    this.#last = { at, rows, bytes }
    if (last === undefined) return
    const perSecond = (now: number, before: number) => ((now - before) * 1000) / (at - last.at)
    const time = new Date(at).toISOString()
    const rates = {
      rowsPerSecond: perSecond(rows, last.rows),
      bytesPerSecond: perSecond(bytes, last.bytes),
    }
    this.#samples.push({ time, ...rates, ...known })
    if (this.#samples.length > HISTORY_SAMPLES) this.#samples.shift()
  }

  get samples(): readonly HistorySample[] {
    return this.#samples
  }
}
