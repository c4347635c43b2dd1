/** Rows under headings, in columns as wide as their longest cell. Characters that a terminal would act on are left out. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map((row) => row.map(printable))
  const widths = headings.map((_, column) => Math.max(...lines.map((row) => [...row[column]!].length)))
  return lines
    .map((row) => row.map((cell, column) => cell + ' '.repeat(widths[column]! - [...cell].length)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** An application names itself as it likes. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
}
