import { POLLING_READS_WHOLE_TABLES, POLLING_WITHOUT_DELETES, type Warning } from '../../core/warnings.js'
import type { PollTable } from './pollTable.js'

/** What long polling cannot do, said at start. */
export function pollingWarnings(tables: readonly PollTable[], inRecovery: boolean): Warning[] {
  const whole = tables.filter(({ hasCursor }) => inRecovery || !hasCursor).map(({ name }) => name)
  if (whole.length === 0) return [POLLING_WITHOUT_DELETES({})]
  const names = `${whole.slice(0, 5).join(', ')}${whole.length > 5 ? ` and ${whole.length - 5} more` : ''}`
  return [POLLING_WITHOUT_DELETES({}), POLLING_READS_WHOLE_TABLES({ tables: names, inRecovery })]
}
