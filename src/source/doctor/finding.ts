export type Status = 'ok' | 'warning' | 'problem'

export type Group = 'connection' | 'server' | 'slots' | 'tables' | 'publication' | 'transactions'

/** In the order in which they are told. */
export const GROUPS: readonly Group[] = ['connection', 'server', 'slots', 'tables', 'publication', 'transactions']

/**
 * One way to mend it, or one step of it: `sql` for the database, a `command` for a shell, a `setting` of a console or
 * file, an `option` of tailrace, or `advice` where no text can be copied.
 */
export interface Mend {
  readonly kind: 'sql' | 'command' | 'setting' | 'option' | 'advice'
  readonly text: string
}

/** What one check found. */
export interface Finding {
  readonly group: Group
  /** `problem`: capturing would fail or harm somebody; `warning`: it works, and something may go wrong later. */
  readonly status: Status
  /** Stable. */
  readonly code: string
  /** What it is, with its value. */
  readonly found: string
  /** Why it matters, in one sentence. */
  readonly why: string
  /** How to mend it, first things first; empty where nothing is to be done. */
  readonly mend: readonly Mend[]
}

export interface Judgement {
  readonly code: string
  readonly found: string
  readonly why: string
  readonly mend?: readonly (Mend | undefined)[]
}

/** The three verdicts of one group. */
export function verdicts(group: Group) {
  const verdict =
    (status: Status) =>
    ({ code, found, why, mend = [] }: Judgement): Finding => ({
      group,
      status,
      code,
      found,
      why,
      mend: mend.filter((one) => one !== undefined),
    })
  return { ok: verdict('ok'), warning: verdict('warning'), problem: verdict('problem') }
}

/** Where something is left to fill in, it is no SQL to be run. */
export const sql = (text: string): Mend => (text.includes('…') ? advice(`Run: ${text}`) : { kind: 'sql', text })
export const command = (text: string): Mend => ({ kind: 'command', text })
export const setting = (text: string): Mend => ({ kind: 'setting', text })
export const option = (text: string): Mend => ({ kind: 'option', text })
export const advice = (text: string): Mend => ({ kind: 'advice', text })
