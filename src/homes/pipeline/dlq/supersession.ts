import { DEAD_LETTER_SUPERSEDED, DEAD_LETTER_UNPROVED } from '../../../core/deadLetterErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import { sqlName } from '../../../postgres/identifier.js'
import { RelationNames } from '../../../postgres/tablePattern.js'
import type { ProcessorConfig } from '../../../processors/chain.js'
import type { LetterRecord, LetterValues } from '../../../sinks/deadLetters/letterRecord.js'
import type { SourceLook } from './sourceLook.js'

const NOTHING: LetterValues = new Map()
/** Processors that leave every record as it is. */
const HARMLESS: ReadonlySet<string> = new Set(['log'])

/**
 * Why a letter of a table that is kept as the source's must not be written: what the source has now is not what the letter
 * says, so that a later change of the row was written already, or is on its way. Undefined: it is just that, and nothing that
 * is written can be older than it.
 */
export async function supersession(
  record: LetterRecord,
  look: SourceLook,
  processors: readonly ProcessorConfig[],
): Promise<TailraceError | undefined> {
  const { id, operation, key = NOTHING, oldKey, after = NOTHING } = record
  const table = sqlName({ schema: record.schema, name: record.table })
  const unproved = (problem: string) => DEAD_LETTER_UNPROVED({ id, table, problem })
  if (operation === 'truncate') return unproved('a truncate takes all rows that came after it')
  const isProcessed = processors.some(({ type, streams }) => !HARMLESS.has(type) && isOf(record, streams))
  const differs = (problem: string) => {
    if (isProcessed) return unproved(`${problem}, but processors may have made the record other than the row is`)
    return DEAD_LETTER_SUPERSEDED({ id, table, problem })
  }
  if (operation === 'delete') {
    const now = await look.stands(record, key, NOTHING)
    if (now.is === 'unknown') return unproved(now.problem)
    return now.is === 'absent' ? undefined : differs('a row of the key that was deleted is there')
  }
  const now = await look.stands(record, key, after)
  if (now.is === 'unknown') return unproved(now.problem)
  if (now.is === 'absent') return differs('the row is gone')
  if (now.is === 'other') return differs('the row has other values')
  if (oldKey === undefined) return undefined
  const old = await look.stands(record, oldKey, NOTHING)
  return old.is === 'absent' ? undefined : differs('a row of the key that it had before is there')
}

function isOf({ schema, table }: LetterRecord, streams: ProcessorConfig['streams']): boolean {
  if (streams === undefined) return true
  const names = new RelationNames([{ schema, name: table }])
  return streams.some((pattern) => names.match(pattern).length > 0)
}
