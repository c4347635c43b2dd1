import { type Deferred, deferred } from '../../core/deferred.js'
import { SIGNAL_UNAVAILABLE } from '../../core/errors.js'
import { parseTablePatterns, RelationNames, type TablePattern } from '../../postgres/tablePattern.js'
import type { SourceEvent } from '../../source/events.js'
import type { TableControl } from '../../source/tableControl.js'
import { type Log, log } from '../log.js'
import { packageVersion } from '../version.js'
import type { Result, SignalRequest } from './protocol.js'
import { type RunStatus, StatusKeeper } from './runStatus.js'

/** A source, as far as a signal needs one. */
export interface ControlledSource extends TableControl {
  events(): AsyncIterable<SourceEvent>
}

type Change = Exclude<SignalRequest, { command: 'status' }>

/**
 * What signals act upon: the source that a run has at the moment. Changes of its tables are made one after another, in
 * the order in which they came; the status is told at once.
 */
export class ControlledRun {
  readonly #keeper = new StatusKeeper({
    pid: process.pid,
    version: packageVersion(),
    since: new Date(performance.timeOrigin).toISOString(),
  })
  #source: ControlledSource | undefined
  #ended: Deferred<never> = deferred()
  #last: Promise<unknown> = Promise.resolve()
  /** Rows of the tables whose scan has ended since the change at work began. */
  readonly #finished = new Map<string, number>()
  readonly #log: Log

  constructor(say: Log = log) {
    this.#log = say
  }

  get status(): RunStatus {
    return this.#keeper.status
  }

  /** From now on signals are for this one; to be called before its loop begins. Resolves when it has ended. */
  async attach(source: ControlledSource): Promise<void> {
    const ended = deferred<never>()
    // Nobody may be waiting for it.
    ended.promise.catch(() => {})
    this.#source = source
    this.#ended = ended
    this.#keeper.begin()
    for await (const event of source.events()) {
      this.#keeper.saw(event)
      if (event.type === 'snapshot-table-finished') this.#finished.set(event.table, event.rows)
    }
    this.#source = undefined
    ended.reject(SIGNAL_UNAVAILABLE({ problem: 'it stopped reading from the database before that was done' }))
  }

  /** Does what is asked. A change that `abandoned` says nobody waits for any more is not begun. */
  async handle(request: SignalRequest, abandoned: () => boolean): Promise<Result> {
    if (request.command === 'status') return { command: 'status', status: this.status }
    const turn = this.#last.then(() => {
      if (abandoned()) throw SIGNAL_UNAVAILABLE({ problem: 'whoever asked has gone' })
      return this.#change(request)
    })
    this.#last = turn.catch(() => {})
    return turn
  }

  async #change(request: Change): Promise<Result> {
    const source = this.#source
    if (source === undefined) throw SIGNAL_UNAVAILABLE({ problem: 'it is not reading from the database at the moment' })
    const words = inWords(request)
    this.#log('info', `asked to ${words}`, { signal: request })
    this.#finished.clear()
    try {
      const result = await Promise.race([change(source, request), this.#ended.promise])
      this.#log('debug', `done: ${words}`, { signal: request })
      if (result.command !== 'resnapshot') return result
      const read = [...this.#finished].find(([table]) => means(result.table, table))
      return read === undefined ? result : { ...result, rows: read[1] }
    } catch (error) {
      this.#log('warn', `could not ${words}: ${(error as Error).message}`, { signal: request })
      throw error
    }
  }
}

async function change(source: ControlledSource, request: Change): Promise<Result> {
  const { addTables, removeTables, resnapshot } = source
  switch (request.command) {
    case 'add':
      return { command: 'add', tables: await addTables.call(source, request.tables) }
    case 'remove':
      return { command: 'remove', tables: await removeTables.call(source, request.tables) }
    case 'resnapshot': {
      const { command, table, where } = request
      await resnapshot.call(source, table, where === undefined ? {} : { where })
      return { command, table }
    }
  }
}

/** Whether what somebody wrote for a table means this one, which an event names as SQL does. */
function means(written: string, sqlName: string): boolean {
  const [{ schema, name }] = parseTablePatterns(sqlName) as [TablePattern]
  const names = new RelationNames([{ schema: schema.text, name: name.text }])
  return parseTablePatterns(written).some((pattern) => names.match(pattern).length > 0)
}

/** As the log of the run has it. */
function inWords(request: Change): string {
  if (request.command !== 'resnapshot') return `${request.command} ${request.tables}`
  return `resnapshot ${request.table}${request.where === undefined ? '' : ` where ${request.where}`}`
}
