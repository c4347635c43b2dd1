import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { apiRoutes } from '../../../../../src/homes/pipeline/http/apiRoutes.js'
import { dlqRoutes } from '../../../../../src/homes/pipeline/http/dlqRoutes.js'
import { type DeclaredMetric, LABELLED_TABLES, METRICS } from '../../../../../src/homes/pipeline/metrics/declared.js'
import { Metrics } from '../../../../../src/homes/pipeline/metrics/metrics.js'
import { PauseSwitch } from '../../../../../src/homes/pipeline/run/pauseSwitch.js'
import type { TableCounts } from '../../../../../src/homes/pipeline/run/tableCounts.js'
import { PipelineMonitor } from '../../../../../src/homes/pipeline/status/pipelineMonitor.js'
import { samplesOf } from '../../../../support/metricsText.js'

const declared: readonly DeclaredMetric[] = Object.values(METRICS)
const textOf = (path: string) => readFileSync(new URL(`../../../../../${path}`, import.meta.url), 'utf8')

function monitored(metrics: Metrics): PipelineMonitor {
  const source = { host: 'db', port: 5432, database: null, slot: 's', publication: 'tailrace' }
  const sinks = [{ name: 'out', type: 'file', deadLetters: undefined }]
  return new PipelineMonitor({ name: 'shop', source, sinks }, new PauseSwitch(), metrics.meter('shop', ['out']))
}

test('names, kinds and units keep to Prometheus’s conventions', () => {
  for (const { name, kind, help, labels } of declared) {
    expect(name).toMatch(/^(tailrace|process)_[a-z_]+$/)
    expect(name.endsWith('_total'), name).toBe(kind === 'counter')
    expect(name, name).not.toMatch(/_(ms|milliseconds|kb|mb|minutes|percent)(_|$)/)
    expect(help).toMatch(/^[A-Z0-9].*\.$/)
    expect(labels).not.toContain('le')
  }
  expect(new Set(declared.map(({ name }) => name)).size).toBe(declared.length)
})

test('every query of the dashboard names metrics that there are, with labels that they have', () => {
  const dashboard = JSON.parse(textOf('examples/grafana/tailrace.json')) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[]
    readonly templating: { readonly list: readonly { readonly definition?: string }[] }
  }
  const queries = [
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
  ]
  expect(queries.length).toBeGreaterThan(20)
  for (const query of queries) {
    const found = [...query.matchAll(/\b((?:tailrace|process)_[a-z_]+)(?:\{([^}]*)\})?/g)]
    expect(found.length, query).toBeGreaterThan(0)
    for (const [, name, matchers = ''] of found) {
      const metric = declared.find((one) => {
        return one.name === name || (one.kind === 'histogram' && name === `${one.name}_bucket`)
      })
      expect(metric, `${name} in ${query}`).toBeDefined()
      const labels = [...matchers.matchAll(/(\w+)=/g)].map(([, label]) => label!)
      const [, grouped = ''] = /by \(([^)]*)\)/.exec(query) ?? []
      for (const label of [...labels, ...grouped.split(',').map((one) => one.trim())]) {
        if (label !== '' && label !== 'le' && label !== 'job') expect(metric!.labels, query).toContain(label)
      }
    }
  }
})

test('docs/http.md has every path, and no other', () => {
  const [, table = ''] = /<!-- paths: [^\n]*-->\n([\s\S]*?)<!-- end -->/.exec(textOf('docs/http.md')) ?? []
  const told = [...table.matchAll(/^\| `(\w+ \S+)`/gm)].map(([, path]) => path!)
  const process = { version: '1', startedAt: new Date(), pipelines: [], metrics: new Metrics('1') }
  const there = [...apiRoutes(process), ...dlqRoutes([])].map(({ method, path }) => `${method} ${path}`)
  expect(told.filter((path) => path !== 'GET /').sort()).toEqual(there.sort())
})

test('what is not known has no series, counters do not grow by being asked for, and tables are bounded', async () => {
  const metrics = new Metrics('1.2.3')
  const monitor = monitored(metrics)
  monitor.saw({ type: 'streaming', slot: 's', lsn: '0/10' })
  monitor.saw({ type: 'stream-progress', records: 1, bytes: 1, lsn: '0/10', lagBytes: 5, lagSeconds: 0 })
  const tables = LABELLED_TABLES + 50
  const count = () => ({ records: Float64Array.of(0, 3, 0, 0, 0, 0), bytes: Float64Array.of(0, 30, 0, 0, 0, 0) })
  const counts = new Map(Array.from({ length: tables }, (_, index) => [`public.t${index}`, count()]))
  monitor.counts({ counts } as unknown as TableCounts)
  metrics.meter('shop', ['out']).wrote('out', 10, 0.02)
  await metrics.text([monitor])
  const text = await metrics.text([monitor])
  const samples = samplesOf(text)
  const pipeline = 'shop'
  expect(samples('tailrace_lag_bytes', { pipeline })).toBe(5)
  expect(samples('tailrace_slot_limit_seconds', { pipeline })).toBeUndefined()
  expect(samples('tailrace_build_info', { version: '1.2.3' })).toBe(1)
  const rows = (table: string) => samples('tailrace_source_rows_total', { pipeline, table, operation: 'create' })
  expect([rows('public.t0'), rows('public.t199'), rows('public.t200'), rows('other')]).toEqual([3, 3, undefined, 150])
  const seconds = { pipeline, sink: 'out', le: '0.025' }
  expect(samples('tailrace_sink_write_duration_seconds_bucket', seconds)).toBe(1)
  expect(samples('process_resident_memory_bytes', {})).toBeGreaterThan(1e6)
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => `${kind} ${name}`)
  expect(names.sort()).toEqual(declared.map(({ name, kind }) => `${kind} ${name}`).sort())

  monitor.saw({
    ...{ type: 'reconnecting', attempt: 1, delayMs: 1, cause: new Error('gone') as never },
  })
  const away = samplesOf(await metrics.text([monitor]))
  expect(away('tailrace_lag_bytes', { pipeline })).toBeUndefined()
  expect(away('tailrace_source_connected', { pipeline })).toBe(0)
})
