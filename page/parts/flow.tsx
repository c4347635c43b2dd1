import type { SinkStatus } from '../../src/homes/pipeline/status/status.js'
import { bytes, count, countShort, duration, plural } from '../format.js'
import { Arrow } from './icons.js'
import type { PipelineProps } from './pipeline.js'

const SINK_STATES = {
  opening: 'opening',
  running: 'running',
  retrying: 'trying again',
  failed: 'failed',
  stopped: 'ended',
} as const

/** From the source to the sinks, how fast, and how far behind. */
export function Flow({ pipeline, now }: PipelineProps) {
  const { source, rates, lag, position, sinks } = pipeline
  return (
    <section class="card flow" aria-label="From the source to the sinks">
      <div class="node">
        <p class="kind">source</p>
        <h2>{source.database ?? 'database'}</h2>
        <p class="state">
          <span class={`dot ${source.connected ? 'safe' : 'at_risk'}`} aria-hidden="true" />
          {source.connected ? 'connected' : 'not connected'}
        </p>
        <dl>
          {source.slot !== null && <Fact name="slot" value={source.slot} />}
          {position !== null && <Fact name="position" value={position} />}
        </dl>
      </div>
      <div class="link">
        <p class="rate">
          <b>{countShort(Math.round(rates.rowsPerSecond))}</b> rows/s
        </p>
        <Arrow />
        <p>{bytes(Math.round(rates.bytesPerSecond))}/s</p>
      </div>
      <div class="node">
        <p class="kind">behind by</p>
        <h2>{duration(lag.seconds)}</h2>
        <dl>
          <Fact name="WAL to read" value={bytes(lag.bytes)} />
        </dl>
      </div>
      <div class="link">
        <p class="rate">
          <b>{bytes(sinks.reduce((most, one) => Math.max(most, one.pendingBytes), 0))}</b> on the way
        </p>
        <Arrow />
        <p>to {plural(sinks.length, 'sink')}</p>
      </div>
      <ul class="sinks">
        {sinks.map((sink) => (
          <Sink key={sink.name} sink={sink} now={now} />
        ))}
      </ul>
    </section>
  )
}

function Sink({ sink, now }: { readonly sink: SinkStatus; readonly now: number }) {
  const { name, type, state, rowsPerSecond, pendingBytes, writtenRows, writtenBytes, latency, lastFlushAt } = sink
  const level = state === 'failed' ? 'in_trouble' : state === 'retrying' || state === 'opening' ? 'at_risk' : 'safe'
  const flushed =
    lastFlushAt === null ? 'never' : `${duration(Math.max(0, Math.round((now - Date.parse(lastFlushAt)) / 1000)))} ago`
  return (
    <li class={`sink ${level}`}>
      <h2>
        {name} {type !== name && <span class="type">{type}</span>}
        <span class="state">
          <span class={`dot ${level}`} aria-hidden="true" />
          {SINK_STATES[state]}
        </span>
      </h2>
      <dl>
        <Fact name="rows/s" value={countShort(Math.round(rowsPerSecond))} />
        <Fact name="delivered" value={`${countShort(writtenRows)} rows`} />
        <Fact name="as received" value={bytes(writtenBytes)} />
        <Fact name="waiting" value={bytes(pendingBytes)} />
        <Fact name="a write, p50 / p99" value={`${duration(latency.p50Seconds)} / ${duration(latency.p99Seconds)}`} />
        <Fact name="last durable" value={flushed} />
        {sink.retries > 0 && <Fact name="tried again" value={`${count(sink.retries)} times`} bad />}
        {sink.deadLetters > 0 && <Fact name="put aside" value={count(sink.deadLetters)} bad />}
      </dl>
      {(state === 'retrying' || state === 'failed') && sink.lastError !== null && (
        <p class="sink-error">
          {sink.lastError.message}. <b>What to do:</b> {sink.lastError.hint}
        </p>
      )}
    </li>
  )
}

function Fact({ name, value, bad = false }: { readonly name: string; readonly value: string; readonly bad?: boolean }) {
  return (
    <div class={bad ? 'fact bad' : 'fact'}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}
