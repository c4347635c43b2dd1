import type { Session } from '../../postgres/session.js'
import type { SourceEvent } from '../../source/events.js'
import { PostgresSource } from '../../source/postgresSource.js'
import { Printer } from './printer.js'
import type { Terminal } from './terminal.js'
import { runWorkload } from './workload.js'

export interface WatchOptions {
  readonly url: string
  /** For the shop's own work. */
  readonly session: Session
  /** Transactions of the shop a second. */
  readonly rate: number
  /** How long; until `signal` when it is not given. */
  readonly seconds: number | undefined
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

export interface Outcome {
  readonly snapshotRecords: number
  readonly changeRecords: number
  readonly seconds: number
}

/** How long an ordered end may take: whoever reads may have stopped to, and does not keep us. The server goes anyway. */
const ORDERED_END_MS = 2000
/** Node lets a longer one expire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Lets the shop work and prints what comes of it, until the time is over, `signal` aborts, or something fails. */
export async function watchShop(options: WatchOptions): Promise<Outcome> {
  const { url, session, rate, seconds, terminal } = options
  const started = performance.now()
  const over = new AbortController()
  const timer =
    seconds === undefined ? undefined : setTimeout(() => over.abort(), Math.min(seconds * 1000, LONGEST_TIMER_MS))
  const signal = AbortSignal.any([options.signal, over.signal])
  const source = new PostgresSource({ url, tables: '*', messages: true, signal })
  const printer = new Printer()

  let failure: { readonly error: unknown } | undefined
  const parts = [
    printRecords(source, printer, terminal),
    printEvents(source, terminal),
    runWorkload(session, rate, signal, (problem) => terminal.note(`shop: ${problem}`)),
  ].map((part) =>
    part.catch((error) => {
      failure ??= { error }
      over.abort()
    }),
  )
  await Promise.race([Promise.all(parts), graceAfter(signal)])
  clearTimeout(timer)
  if (failure !== undefined) throw failure.error
  const { snapshotRecords, changeRecords } = printer
  return { snapshotRecords, changeRecords, seconds: (performance.now() - started) / 1000 }
}

async function printRecords(source: PostgresSource, printer: Printer, terminal: Terminal): Promise<void> {
  for await (const batch of source) {
    const lines = Array.from(batch, (record) => printer.line(record)).filter((line) => line !== undefined)
    await terminal.print(lines)
    await batch.ack()
  }
}

async function printEvents(source: PostgresSource, terminal: Terminal): Promise<void> {
  for await (const event of source.events()) await printEvent(event, terminal)
}

async function printEvent(event: SourceEvent, terminal: Terminal): Promise<void> {
  switch (event.type) {
    case 'snapshot-started':
      return terminal.heading(`snapshot: the rows of ${event.tables} tables, some of each`)
    case 'snapshot-finished':
      return terminal.note(`… ${event.rows.toLocaleString('en-US')} rows in ${event.seconds.toFixed(2)} s`)
    case 'streaming':
      return terminal.heading('stream: every change, as it commits')
    case 'waiting-for-transactions':
      return terminal.note(`waiting for running transactions since ${event.seconds} s: ${event.holders.join(', ')}`)
    case 'lock-waited-for':
      return terminal.note(
        `the snapshot's lock on ${event.table} is waited for by: ${event.application ?? 'a session'} (pid ${event.pid})`,
      )
    case 'table-dropped':
      return terminal.note(`table ${event.table} was dropped; the others go on`)
    case 'warning':
      return terminal.note(`warning: ${event.message}. ${event.hint}`)
  }
}

function graceAfter(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => setTimeout(resolve, ORDERED_END_MS).unref(), { once: true })
  })
}
