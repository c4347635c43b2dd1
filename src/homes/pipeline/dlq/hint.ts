import type { Letter } from './letter.js'

/** By SQLSTATE or the class of one. */
const HINTS: Readonly<Record<string, string>> = {
  23502:
    'The target’s column takes no NULL: ALTER TABLE … ALTER COLUMN … DROP NOT NULL at the target, or mend the row at the source. Then replay.',
  23503:
    'The row that it points to is not at the target: replay, or copy, that one first; or write with replication_role: replica. Then replay.',
  23505:
    'Another row of the target has this value already: find out which of the two is right, and delete the other. Then replay.',
  23514:
    'The target’s check refuses it: ALTER TABLE … DROP CONSTRAINT at the target if the source has no such check, or mend the row at the source. Then replay.',
  23: 'A constraint of the target refuses it: give the target those of the source, or mend the row. Then replay.',
  22: 'The target’s type cannot hold the value: ALTER TABLE … ALTER COLUMN … TYPE at the target, or mend the row at the source. Then replay.',
  42: 'The target’s table is not as the record is: give it the columns and types of the source’s. Then replay.',
  P0: 'A trigger of the target raised it: mend that, or write with replication_role: replica. Then replay.',
}

/** What to do about a letter. */
export function hintOf({ sqlstate, problem }: Letter): string {
  if (sqlstate !== undefined) {
    const known = HINTS[sqlstate] ?? HINTS[sqlstate.slice(0, 2)]
    return known ?? 'Mend at the target what the server says, then replay; or drop the letter.'
  }
  if (/max_line_bytes/.test(problem)) return 'Raise max_line_bytes of the sink, then replay; or drop the letter.'
  return 'Mend what the problem says, then replay; or drop the letter.'
}
