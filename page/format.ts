const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })
const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
})
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** What is not known. */
const NONE = '–'

/** `12,345` */
export function count(value: number): string {
  return whole.format(value)
}

/** `12,345`, and beyond that `1.2M`. */
export function countShort(value: number): string {
  return value < 100_000 ? whole.format(value) : short.format(value)
}

/** In the server's units, of 1024. */
export function bytes(value: number | null): string {
  if (value === null) return NONE
  let rest = value
  let unit = 0
  for (; Math.abs(rest) >= 1023.5 && unit < UNITS.length - 1; unit++) rest /= 1024
  return `${unit === 0 || rest >= 99.95 ? Math.round(rest) : Number(rest.toFixed(1))} ${UNITS[unit]}`
}

/** `3 ms`, `1.2 s`, `4 min`, `3 h`, `5 days`. */
export function duration(seconds: number | null): string {
  if (seconds === null) return NONE
  if (seconds === 0) return '0 s'
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}

/** The time, and the day unless it is today. */
export function time(text: string): string {
  const at = new Date(text)
  const today = at.toDateString() === new Date().toDateString()
  return today ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}
