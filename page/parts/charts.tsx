import 'uplot/dist/uPlot.min.css'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import type { HistorySample, LagStatus, RatesStatus } from '../../src/homes/pipeline/status/status.js'
import { bytes, count, countShort, duration } from '../format.js'

interface ChartsProps {
  readonly history: readonly HistorySample[]
  readonly rates: RatesStatus
  readonly lag: LagStatus
  readonly now: number
}

const HOUR = 3600
/** Of a run that began just now no less is drawn. */
const LEAST = 300
const HEIGHT = 150

/** The last hour. */
export function Charts({ history, rates, lag, now }: ChartsProps) {
  const end = Math.floor(now / 1000)
  const times = [...history.map(({ time }) => Date.parse(time) / 1000), end]
  const rows = [...history.map((one) => one.rowsPerSecond), rates.rowsPerSecond]
  const seconds = [...history.map((one) => one.lagSeconds), lag.seconds]
  const held = [...history.map((one) => one.lagBytes), lag.bytes]
  const most = Math.max(0, ...rows)
  const longest = Math.max(0, ...seconds.map((one) => one ?? 0))
  return (
    <div class="charts">
      <section class="card" aria-label="Throughput">
        <h2>
          Throughput <span class="muted">rows per second, last hour</span>
        </h2>
        <Chart
          times={times}
          end={end}
          series={[{ values: rows, colour: '--line-1', text: (value) => `${count(Math.round(value))} rows/s` }]}
          axis={(value) => countShort(value)}
          least={10}
          label={`Rows per second over the last hour: now ${count(Math.round(rates.rowsPerSecond))}, at most ${count(Math.round(most))}.`}
        />
      </section>
      <section class="card" aria-label="Lag">
        <h2>
          Behind by <span class="muted">seconds, last hour</span>
        </h2>
        <Chart
          times={times}
          end={end}
          series={[
            {
              values: seconds,
              colour: '--line-2',
              text: (value, at) => `${duration(value)}, ${bytes(held[at] ?? null)} of WAL`,
            },
          ]}
          axis={(value) => duration(value)}
          least={1}
          label={`How far behind over the last hour: now ${duration(lag.seconds)}, at most ${duration(longest)}.`}
        />
      </section>
    </div>
  )
}

interface ChartProps {
  readonly times: readonly number[]
  readonly end: number
  readonly series: readonly {
    readonly values: readonly (number | null)[]
    readonly colour: string
    readonly text: (value: number, at: number) => string
  }[]
  readonly axis: (value: number) => string
  /** The scale reaches at least so far, so that a still line is not noise. */
  readonly least: number
  readonly label: string
}

function Chart(props: ChartProps) {
  const { times, end, series, label } = props
  const box = useRef<HTMLDivElement>(null)
  const said = useRef<HTMLParagraphElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const now = useRef(props)
  now.current = props
  const data = [times, ...series.map(({ values }) => values)] as unknown as uPlot.AlignedData
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const draw = () => {
      // The page may change its colours on its way out.
      if (box.current === null) return
      plot.current?.destroy()
      plot.current = new uPlot(optionsOf(now, box.current.clientWidth, said), dataOf(now.current), box.current)
    }
    draw()
    const resized = new ResizeObserver(([entry]) => {
      plot.current?.setSize({ width: Math.max(100, Math.floor(entry!.contentRect.width)), height: HEIGHT })
    })
    resized.observe(box.current!)
    dark.addEventListener('change', draw)
    return () => {
      resized.disconnect()
      dark.removeEventListener('change', draw)
      plot.current?.destroy()
    }
  }, [])
  useEffect(() => {
    plot.current?.batch(() => {
      plot.current!.setData(data, false)
      plot.current!.setScale('x', rangeOf(now.current))
    })
  }, [end, times.length])
  return (
    <>
      <div ref={box} class="chart" role="img" aria-label={label} />
      <p ref={said} class="chart-said muted" aria-hidden="true" />
    </>
  )
}

/** The last hour, or what there is of it. */
function rangeOf({ times, end }: ChartProps): { min: number; max: number } {
  return { min: Math.max(end - HOUR, Math.min(times[0] ?? end, end - LEAST)), max: end }
}

function dataOf({ times, series }: ChartProps): uPlot.AlignedData {
  return [times, ...series.map(({ values }) => values)] as unknown as uPlot.AlignedData
}

function optionsOf(
  props: { readonly current: ChartProps },
  width: number,
  said: { readonly current: HTMLParagraphElement | null },
): uPlot.Options {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `11px ${style.fontFamily}`
  const { least } = props.current
  const axis = { stroke: colour('--muted'), font, grid: { stroke: colour('--rule'), width: 1 }, ticks: { show: false } }
  return {
    width: Math.max(100, width),
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: rangeOf(props.current),
      y: { range: (_, __, most) => [0, Math.max(least, (most ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 60, values: '{HH}:{mm}', size: 24 },
      { ...axis, size: 56, space: 30, values: (_, values) => values.map((value) => props.current.axis(value)) },
    ],
    series: [
      {},
      ...props.current.series.map((one) => ({
        stroke: colour(one.colour),
        fill: `${colour(one.colour)}22`,
        width: 1.5,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: {
      setCursor: [
        ({ cursor: { idx } }) => {
          const { times, series } = props.current
          const value = idx == null ? null : series[0]!.values[idx]
          const text =
            value == null
              ? ''
              : `${new Date(times[idx!]! * 1000).toLocaleTimeString()}: ${series[0]!.text(value, idx!)}`
          if (said.current !== null) said.current.textContent = text
        },
      ],
    },
  }
}
