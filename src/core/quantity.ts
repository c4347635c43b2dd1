const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']

/** As people read it, in the server's own units of 1024 ("pg_size_pretty"): `512 bytes`, `1.5 GB`, `120 MB`. */
export function describeBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : Number(value.toFixed(1))} ${UNITS[unit]}`
}

/** `42 s`, `15 min`, `3 h`, `5 days`. */
export function describeSeconds(seconds: number): string {
  if (seconds < 10 && !Number.isInteger(seconds)) return `${Number(seconds.toFixed(1))} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}

/** `12,345`. By hand: to load ICU's formats takes a tenth of a command's start. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}
