/**
 * The settings under which every session of ours prints values and reads them, so that a row is the same in snapshot and
 * stream, and at a target what it was at the source. They go into the start-up packet of ordinary and replication sessions alike, since what a role or a database sets
 * (`ALTER ROLE … SET`) reaches the walsender too.
 */
export const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  DateStyle: 'ISO',
  IntervalStyle: 'iso_8601',
  extra_float_digits: '3',
  bytea_output: 'hex',
  client_encoding: 'UTF8',
  lc_monetary: 'C',
  xmlbinary: 'base64',
  quote_all_identifiers: 'off',
  search_path: '',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  xmloption: 'content',
}

/** A role's time limits would kill an exported snapshot or a waiting slot creation: ours are off. */
export const NO_TIME_LIMITS: Readonly<Record<string, string>> = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
}

/** Time limits of later majors, which an older server would refuse in the start-up packet: set after connecting. */
export const LATER_TIME_LIMITS: readonly { readonly since: number; readonly name: string }[] = [
  { since: 170000, name: 'transaction_timeout' },
]

/** As the start-up packet's `options` wants them: blanks and backslashes escaped ("libpq: options"). */
export function startupOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`)
    .join(' ')
}
