// Replication commands have a scanner of their own (repl_scanner.l): no E'' strings, and its own key words, so names are
// always quoted.

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
