import { BEGIN_ANEW, REPAIR } from '../../../core/errors.js'
import { inWordsOf, type SettingWords } from '../../../core/hintWords.js'
import { snakeCase } from '../../../core/setting.js'

const NAMES: Readonly<Record<string, string>> = { slot: 'slot_name', publication: 'publication_name' }

const WORDS: SettingWords = {
  nameOf: (name) => NAMES[name] ?? snakeCase(name),
  withValue: (name, value) => `${name}: "${value}"`,
  others: [
    [
      BEGIN_ANEW,
      "That is: drop the slot (SELECT pg_drop_replication_slot('NAME')), clear the connection's streams at the destination, and start without a state.",
    ],
    [
      REPAIR,
      'With on_lost_position: "resync" all rows are read anew instead; of those that were deleted meanwhile no record tells.',
    ],
    [
      'Begin anew with a snapshot, without the position,',
      'Set on_lost_position to "resync", or clear the connection\'s streams at the destination and start without a state,',
    ],
    [', with --keyless skip', ''],
    ['`--snapshot only` works', 'sync_mode full_refresh works'],
  ],
}

/** A hint, or what an event tells, in the words of a configuration. Pure. */
export function inConfiguration(hint: string): string {
  return inWordsOf(WORDS, hint)
}
