import { BEGIN_ANEW, REPAIR } from '../../../core/errors.js'
import { inWordsOf, type SettingWords } from '../../../core/hintWords.js'
import { TailraceError } from '../../../core/tailraceError.js'
import { GrpcFailure } from './grpc/status.js'

const NAMES: Readonly<Record<string, string>> = {
  slot: 'logrepl.slotName',
  publication: 'logrepl.publicationName',
}

const WORDS: SettingWords = {
  nameOf: (name) => NAMES[name] ?? name,
  withValue: (name, value) => `${name}: ${value}`,
  others: [
    [BEGIN_ANEW, 'That is: drop the slot (tailrace slots drop NAME), empty the destination, and make a new connector.'],
    [REPAIR, 'With onSlotLost: resnapshot the slot is made anew and all rows are read once more, as a repair.'],
    ['`--snapshot only` works', 'cdcMode: long_polling works'],
    ['--cdc-mode logical', 'cdcMode: logrepl'],
    ['--cursor table:column', 'cursors: table:column'],
  ],
}

/** A hint, or what an event tells, in the words of the connector's settings. Pure. */
export function inSettings(text: string): string {
  return inWordsOf(WORDS, text)
}

/** All that a user gets to read of an error: the host keeps its text alone. */
export function describeError(error: unknown): string {
  if (error instanceof TailraceError) return `${error.code}: ${error.message}. ${inSettings(error.hint)}`
  // A fault of the call, of which the host is told, too.
  if (error instanceof GrpcFailure) return error.message
  // A fault of ours: the place helps whoever mends it.
  return `internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`
}
