const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `12,345` */
export function count(value: number): string {
  return whole.format(value)
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']

/** As people read it, in units of 1,024 as the server counts them: `512 bytes`, `1.5 GB`. */
export function bytes(value: number): string {
  let unit = 0
  let amount = value
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024
    unit++
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[unit]}`
}

/** `0.3 s`, `42 s`, `3:05 min`, `2:03:05 h` */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const all = Math.round(seconds)
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor((all % 3600) / 60), all % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)} h` : `${minutes}:${two(rest)} min`
}
