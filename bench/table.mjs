import { median, ratios } from './rounds.mjs'

/** A Markdown table; the first column is text, the others are figures. */
export function table(head, rows) {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell ?? '–')))
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column].length), 3))
  const lines = cells.map((row) => {
    const padded = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
    return `| ${padded.join(' | ')} |`
  })
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [lines[0], `| ${rule.join(' | ')} |`, ...lines.slice(1)].join('\n')
}

export function fixed(value, digits) {
  return value === undefined || Number.isNaN(value) ? undefined : value.toFixed(digits)
}

/** Whole runs beside a peer, whose wall time is 1. */
export function runsTable(results, peer) {
  const head = ['', 'wall s', 'best', 'ratio', 'best', 'client CPU s', 'server CPU s', 'peak MB', 'others']
  const rows = results.map((result) => {
    const of = (figure) => result.rounds.map((round) => round[figure])
    const shares = ratios(result, peer, 'wall')
    return [
      result.name,
      fixed(median(of('wall')), 2),
      fixed(Math.min(...of('wall')), 2),
      shares && fixed(median(shares), 2),
      shares && fixed(Math.min(...shares), 2),
      fixed(median(of('cpu')), 2),
      fixed(median(of('server')), 2),
      fixed(Math.max(...of('rss')), 0),
      fixed(Math.max(...of('others')), 2),
    ]
  })
  return table(head, rows)
}

/** A bar: `value` may be at most `limit`. `judged` false: the run was too small to say. */
export function bar(name, value, limit, digits, judged = true) {
  const verdict = value === undefined ? 'no peer' : !judged ? 'not judged' : value <= limit ? 'pass' : 'FAIL'
  return { name, value, limit, digits, verdict }
}

export function barsTable(bars) {
  const rows = bars.map(({ name, value, limit, digits, verdict }) => [
    name,
    `≤ ${limit}`,
    fixed(value, digits),
    verdict,
  ])
  return table(['bar', 'at most', 'measured', ''], rows)
}
