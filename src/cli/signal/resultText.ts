import { count, describeBytes, describeSeconds } from '../../core/quantity.js'
import type { Result } from '../control/protocol.js'
import { type RunStatus, scanAsText } from '../control/runStatus.js'
import { printable } from '../table.js'

/** What a run answered, for people. */
export function resultAsText(result: Result): string {
  switch (result.command) {
    case 'status':
      return statusAsText(result.status, new Date())
    case 'add':
      return listed(result.tables, 'Added', 'Nothing to add: they are captured already.')
    case 'remove':
      return listed(result.tables, 'Removed', 'Nothing to remove: none of them was captured.')
    case 'resnapshot':
      return result.rows === undefined
        ? `Reading the rows of ${printable(result.table)} once more: "tailrace signal status" tells how far.\n`
        : `Read ${count(result.rows)} rows of ${printable(result.table)} once more.\n`
  }
}

function listed(tables: readonly string[], done: string, nothing: string): string {
  return tables.length === 0 ? `${nothing}\n` : `${done} ${tables.map(printable).join(', ')}.\n`
}

/** One fact a line, those that are known. */
export function statusAsText(status: RunStatus, now: Date): string {
  const { tables, scanning, lsn, lagBytes, lagSeconds, records } = status
  const seconds = Math.max(0, (now.getTime() - Date.parse(status.since)) / 1000)
  const facts: readonly (readonly [name: string, value: string | null])[] = [
    ['run', `pid ${status.pid}, tailrace ${status.version}, since ${describeSeconds(Math.round(seconds))}`],
    ['phase', status.waitingFor === null ? status.phase : `${status.phase}: ${status.waitingFor}`],
    ['database', status.database && `${status.database} on PostgreSQL ${status.serverVersion}`],
    ['slot', status.slot],
    ['tables', tables && (tables.length === 0 ? 'none' : tables.join(', '))],
    ...scanning.map((scan) => ['reading', scanAsText(scan)] as const),
    ['position', lsn],
    ['lag', lagBytes === null ? null : lag(lagBytes, lagSeconds ?? 0)],
    ['records', records === null ? null : count(records)],
  ]
  return facts
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.padEnd(9)} ${printable(value!)}\n`)
    .join('')
}

function lag(bytes: number, seconds: number): string {
  return seconds === 0 ? describeBytes(bytes) : `${describeBytes(bytes)}, ${describeSeconds(seconds)}`
}
