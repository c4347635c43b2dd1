import type { SourceEvent } from '../events.js'
import type { PollTable } from './pollTable.js'

/** What long polling cannot do, said at start. */
export function pollingWarnings(tables: readonly PollTable[], inRecovery: boolean): SourceEvent[] {
  const warnings: SourceEvent[] = [
    {
      type: 'warning',
      code: 'POLLING_WITHOUT_DELETES',
      message:
        'long polling sees no deletes and no truncates, of several changes of a row between two polls only the last, and cannot tell inserts from updates: what comes after the snapshot is "create"',
      hint: 'Logical replication (--cdc-mode logical) has them all. See docs/long-polling.md.',
    },
  ]
  const whole = tables.filter(({ hasCursor }) => inRecovery || !hasCursor).map(({ name }) => name)
  if (whole.length === 0) return warnings
  const names = `${whole.slice(0, 5).join(', ')}${whole.length > 5 ? ` and ${whole.length - 5} more` : ''}`
  warnings.push({
    type: 'warning',
    code: 'POLLING_READS_WHOLE_TABLES',
    message: `each poll looks at all rows of ${names}`,
    hint: inRecovery
      ? 'A standby does not say which transactions are open, which a cursor would need: poll the primary for less reading.'
      : 'Where that is too much, name a column that grows with every change and has an index (--cursor table:column).',
  })
  return warnings
}
