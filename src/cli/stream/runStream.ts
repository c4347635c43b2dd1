import { resolve } from 'node:path'
import type { NdjsonOptions } from '../../codec/ndjson.js'
import { sleep } from '../../core/abort.js'
import { backoffMs } from '../../core/backoff.js'
import { SLOT_LOST, SLOT_MISSING, SNAPSHOT_INTERRUPTED, STATE_MISMATCH } from '../../core/errors.js'
import type { Position, PositionJson } from '../../core/record.js'
import { parseConnectionString } from '../../postgres/connectionString.js'
import { isTransient } from '../../postgres/serverError.js'
import { Output } from '../../sinks/files/output.js'
import { removeUnfinished } from '../../sinks/files/stateFile.js'
import { lockOutput, StateLock } from '../../sinks/files/stateLock.js'
import type { SourceOptions } from '../../source/options.js'
import { StreamPosition } from '../../source/position.js'
import { PostgresSource } from '../../source/postgresSource.js'
import { ControlServer } from '../control/controlServer.js'
import { configureLog, log } from '../log.js'
import { reportEvents } from '../report/report.js'
import { Signals } from '../signals.js'
import { AheadFile, aheadOf } from './aheadFile.js'
import { Checkpoint } from './checkpoint.js'
import { LineWriter } from './lineWriter.js'
import { readState, type State, writeState } from './stateFile.js'

/** As commander gives them: names of settings, but `--key` for `keys` and `--wal-budget` for `walBudgetBytes`. */
export interface StreamOptions
  extends Omit<SourceOptions, 'keys' | 'cursors' | 'walBudgetBytes' | 'position' | 'positionWithData' | 'signal'> {
  readonly key?: readonly string[]
  readonly cursor?: readonly string[]
  readonly walBudget?: number
  readonly format: NdjsonOptions['format']
  readonly output?: string
  readonly state?: string
  /** Path of the control socket; false: none. */
  readonly control?: string | false
  readonly idleTimeout?: number
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly log: 'text' | 'json'
}

const RETRY = { firstMs: 500, maxMs: 30_000 }

/** Runs `tailrace stream`; gives the exit code. */
export async function runStream(options: StreamOptions): Promise<number> {
  const level = options.quiet ? 'warn' : options.verbose ? 'debug' : 'info'
  configureLog({ format: options.log, level })
  const signals = new Signals()
  try {
    await using lock = options.state === undefined ? undefined : await StateLock.take(options.state)
    void lock
    if (options.state !== undefined) await removeUnfinished(options.state)
    await using control = await ControlServer.open(options)
    for (let attempt = 1; ; attempt++) {
      try {
        await streamOnce(options, signals.signal, control)
        return 0
      } catch (error) {
        // With a state the output is cut back to what the position counts, and the snapshot goes on from there.
        const remade = options.onSlotLost === 'resnapshot' && (SLOT_LOST.is(error) || SLOT_MISSING.is(error))
        const again = remade || SNAPSHOT_INTERRUPTED.is(error) || (attempt > 1 && isTransient(error))
        if (options.state === undefined || !again || signals.signal.aborted) throw error
        log('warn', `${(error as Error).message}; trying again`)
        await sleep(backoffMs(attempt, RETRY), signals.signal).catch(() => {})
        if (signals.signal.aborted) return 0
      }
    }
  } finally {
    signals.release()
  }
}

async function streamOnce(
  options: StreamOptions,
  signal: AbortSignal,
  control: ControlServer | undefined,
): Promise<void> {
  const { state: statePath, output: path, format, idleTimeout } = options
  const stop = new AbortController()
  const file = path === undefined || path === '-' ? null : resolve(path)
  let state = statePath === undefined ? undefined : await readState(statePath)
  // Checked before a file is touched: a wrong option leaves nothing behind.
  const settings = sourceOptions(options, stop.signal, slotOf(state))
  void new PostgresSource(settings)
  checkState(state, options, file)
  const output = file === null ? Output.stdout() : await Output.open(file)
  try {
    await using outputLock = output.isFile ? await lockOutput(file!) : undefined
    void outputLock
    state = await caughtUp(state, statePath, output)
    const start = state?.output?.start ?? (await output.endOfLastLine())
    output.cutAt(keptLength(output, state, statePath) ?? start)
    if (statePath !== undefined && state === undefined) {
      state = { version: 1, position: null, output: { file, start, bytes: start } }
      await writeState(statePath, state)
    }
    const ahead = statePath !== undefined && output.isFile ? new AheadFile(statePath, state!, output.bytes) : undefined
    const source = new PostgresSource({
      ...settings,
      position: (state?.position as PositionJson) ?? undefined,
      // The output was cut back to it just now.
      positionWithData: statePath !== undefined && output.isFile,
    })
    const ack = (acked: Position) => source.ack(acked)
    const checkpoint = new Checkpoint({ output, statePath, file, start, ahead, ack }, (error) => stop.abort(error))
    const lines = new LineWriter({
      format,
      write: (lines) => output.write(lines),
      wrote: (position, lines) => checkpoint.wrote(position, lines),
      failed: (error) => stop.abort(error),
    })
    let waiting = true
    let last: Position | undefined
    // What was written is confirmed before the source ends, since its end is the slot's last chance to move.
    const end = () => {
      if (waiting)
        lines
          .settled()
          .then(() => checkpoint.now())
          .finally(() => stop.abort())
          .catch(() => {})
    }
    const idle = new IdleTimer(idleTimeout, end)
    const reporting = reportEvents(source.events(), {
      drawn: drawsProgress(options),
      onStreaming: () => idle.start(),
      onLargeTransaction: () => lines.expectLarge(),
    })
    const controlled = control?.attach(source)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    try {
      for await (const batch of source) {
        waiting = false
        await lines.write(batch)
        if (batch.length > 0) idle.restart()
        // The same place again: the source waits for its acknowledgement, as at its end.
        else if (batch.position === last) checkpoint.now().catch((error) => stop.abort(error))
        last = batch.position
        if (signal.aborted) {
          await lines.settled()
          await checkpoint.now()
          break
        }
        waiting = true
      }
      await lines.settled()
      await checkpoint.now()
      await ahead?.remove()
      // Also when nothing came: what a run wrote that was cut off does not stay.
      if (!stop.signal.aborted) await output.sync()
    } finally {
      signal.removeEventListener('abort', end)
      idle.stop()
      await lines.close()
      await source.close()
      await checkpoint.close()
      await ahead?.close()
      await reporting
      await controlled
    }
    if (stop.signal.reason instanceof Error && stop.signal.reason.name !== 'AbortError') throw stop.signal.reason
  } finally {
    await output.close()
  }
}

/** Where the records themselves go to the terminal, they would be written across what is drawn. */
function drawsProgress({ quiet, log: format, output }: StreamOptions): boolean {
  const dumb = process.env.TERM === 'dumb' || process.env.CI !== undefined
  const recordsThere = output === undefined && process.stdout.isTTY
  return process.stderr.isTTY === true && !dumb && !quiet && format === 'text' && !recordsThere
}

function sourceOptions(options: StreamOptions, signal: AbortSignal, known: string | undefined): SourceOptions {
  const {
    key,
    cursor,
    walBudget,
    format,
    output,
    state,
    control,
    idleTimeout,
    quiet,
    verbose,
    log: logFormat,
    ...settings
  } = options
  const withState = state !== undefined
  const makesSlot = withState && settings.snapshot !== 'only'
  const slot = known ?? (makesSlot ? defaultSlot(settings.url) : undefined)
  return {
    ...settings,
    signal,
    keys: key ?? [],
    cursors: cursor ?? [],
    walBudgetBytes: walBudget,
    slot: settings.slot ?? (settings.cdcMode === 'long_polling' ? undefined : slot),
    // A slot without a state holds the place by itself; a run without a snapshot can begin wherever it stands.
    existingSlot: settings.existingSlot ?? (withState && settings.snapshot !== 'never' ? 'refuse' : 'resume'),
  }
}

/** Slots belong to the whole cluster: the database's name keeps two of them apart. */
function defaultSlot(url: string | undefined): string {
  return `tailrace_${parseConnectionString(url)
    .database.toLowerCase()
    .replace(/[^a-z0-9_]/g, '_')}`.slice(0, 63)
}

function slotOf(state: State | undefined): string | undefined {
  return (state?.position as { slot?: string | null } | null | undefined)?.slot ?? undefined
}

function checkState(state: State | undefined, options: StreamOptions, file: string | null): void {
  const path = options.state!
  const slot = slotOf(state)
  if (options.snapshot === 'only' && slot !== undefined) {
    throw STATE_MISMATCH({ path, problem: `it holds the place of slot ${slot}, and --snapshot only has none` })
  }
  if (state?.output === undefined || state.output.file === file) return
  const name = (one: string | null) => one ?? 'standard output'
  throw STATE_MISMATCH({ path, problem: `it was made for ${name(state.output.file)}, not ${name(file)}` })
}

/** The state, with what a killed run wrote beyond it: durable before the source hears that it has been read. */
async function caughtUp(state: State | undefined, path: string | undefined, output: Output) {
  const ahead = state && (await aheadOf(path!, state, output))
  if (ahead === undefined) return state
  await output.sync()
  await writeState(path!, ahead)
  return ahead
}

/**
 * How much of the output stands: up to the state's position, or to where an unfinished snapshot began; undefined without
 * a state that says so.
 */
function keptLength(output: Output, state: State | undefined, path: string | undefined): number | undefined {
  if (state?.output === undefined || !output.isFile) return undefined
  // What was written before a slot was lost stands.
  const beginsAnew = state.position === null || StreamPosition.parse(state.position).isNothing
  const length = beginsAnew ? state.output.start : state.output.bytes
  if (output.bytes < length) {
    const problem = `the output has ${output.bytes} bytes, and had ${length}`
    throw STATE_MISMATCH({ path: path!, problem })
  }
  return length
}

/** Calls `expired` when no record came for so long; until it is started, connecting and a snapshot take their time. */
class IdleTimer {
  readonly #milliseconds: number | undefined
  readonly #expired: () => void
  #started = false
  #timer: NodeJS.Timeout | undefined

  constructor(seconds: number | undefined, expired: () => void) {
    this.#milliseconds = seconds === undefined ? undefined : seconds * 1000
    this.#expired = expired
  }

  start(): void {
    this.#started = true
    this.restart()
  }

  restart(): void {
    this.stop()
    if (this.#started && this.#milliseconds !== undefined) this.#timer = setTimeout(this.#expired, this.#milliseconds)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
