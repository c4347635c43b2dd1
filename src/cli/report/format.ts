const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `12,345` */
export function count(value: number): string {
  return whole.format(value)
}
