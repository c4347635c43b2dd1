import { MultiBar, type SingleBar } from 'cli-progress'
import { count, describeSeconds } from '../../core/quantity.js'
import { Rate } from '../../core/rate.js'
import { isProgress } from '../../source/eventNews.js'
import type { SourceEvent } from '../../source/events.js'
import { describe, lag } from '../../source/eventText.js'
import { printThrough } from '../log.js'

type Progress = Extract<SourceEvent, { type: 'snapshot-progress' }>

/** Redrawn so often a second at most. */
const FRAMES = 5

/**
 * What a run does, drawn on a terminal's stderr and redrawn: a bar for each table that is being read, then one line of
 * the stream. Lines of the log appear above.
 */
export class ProgressBars {
  readonly #bars: MultiBar
  readonly #tables = new Map<string, { readonly bar: SingleBar; readonly rate: Rate }>()
  #begun = performance.now()
  #streamRate = new Rate()
  #stream: SingleBar | undefined
  /** Logged since the bars were drawn last. */
  #waiting: string[] = []
  readonly #stopAtExit = () => this.stop()

  constructor() {
    this.#bars = new MultiBar({
      stream: process.stderr,
      format: ' {bar} {percentage}% {table}  {line}',
      barsize: 20,
      fps: FRAMES,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      // Signals are ours.
      gracefulExit: false,
      barCompleteChar: '█',
      barIncompleteChar: '░',
    })
    this.#bars.on('redraw-post', () => {
      this.#waiting = []
    })
    printThrough((line) => this.#print(line))
    // A second signal ends the process where it stands: the cursor comes back all the same.
    process.on('exit', this.#stopAtExit)
  }

  /** Whether the event is drawn, and so needs no line. */
  static draws(event: SourceEvent): boolean {
    return isProgress(event)
  }

  show(event: SourceEvent): void {
    if (event.type === 'snapshot-started') this.#begun = performance.now()
    else if (event.type === 'snapshot-progress') this.#showTable(event)
    else if (event.type === 'streaming') this.#streamRate = new Rate()
    else if (event.type === 'snapshot-table-finished') this.#removeTable(event.table)
    else if (event.type === 'snapshot-finished') for (const table of [...this.#tables.keys()]) this.#removeTable(table)
    else if (event.type === 'large-transaction') this.#showStream(describe(event))
    else if (event.type === 'stream-progress') {
      const rate = this.#streamRate.add(event.records)
      this.#showStream(`${count(event.records)} records, ${count(rate)} a second, at ${event.lsn}, ${lag(event)}`)
    }
  }

  stop(): void {
    process.off('exit', this.#stopAtExit)
    printThrough(undefined)
    this.#bars.stop()
    process.stderr.write(this.#waiting.join(''))
  }

  /** Lines come out when the bars are drawn, so before the first of them at once. */
  #print(line: string): void {
    if (!this.#bars.isActive) {
      process.stderr.write(line)
      return
    }
    this.#waiting.push(line)
    this.#bars.log(line)
  }

  #showStream(line: string): void {
    this.#stream ??= this.#bars.create(1, 0, { line }, { format: ' {line}' })
    this.#stream.update({ line })
  }

  #showTable({ table, rows, estimatedRows }: Progress): void {
    const total = Math.max(rows, estimatedRows)
    let known = this.#tables.get(table)
    if (known === undefined) {
      known = { bar: this.#bars.create(total, 0, { table, line: '' }), rate: new Rate(this.#begun) }
      this.#tables.set(table, known)
    }
    const rate = known.rate.add(rows)
    const left = rate > 0 && estimatedRows > rows ? `, ${describeSeconds((estimatedRows - rows) / rate)} left` : ''
    known.bar.setTotal(total)
    known.bar.update(rows, { table, line: `${count(rows)} rows, ${count(rate)} a second${left}` })
  }

  #removeTable(table: string): void {
    const known = this.#tables.get(table)
    if (known === undefined) return
    this.#bars.remove(known.bar)
    this.#tables.delete(table)
  }
}
