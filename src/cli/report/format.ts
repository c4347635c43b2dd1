const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `12,345` */
export function count(value: number): string {
  return whole.format(value)
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
