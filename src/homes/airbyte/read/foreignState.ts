import { type Lsn, parseLsn } from '../../../postgres/lsn.js'
import { type Fields, isFields } from '../readJson.js'

/** `current_lsn` of Estuary's first connector, a number; `cursor` of its later ones, a text. */
export function estuaryLsn(value: unknown): Lsn | undefined {
  return typeof value === 'string' ? parseLsn(value) : numberLsn(value)
}

/**
 * Where Airbyte's own connector was, from the shared part of its state: `{"state":{"[\"db\",…]":"{\"lsn_commit\":N,…}"}}`,
 * JSON within texts. All that was committed before the last commit that it had finished; that one may come again.
 */
export function airbyteLsn({ state }: Fields): Lsn | undefined {
  if (!isFields(state)) return undefined
  for (const text of Object.values(state)) {
    const offset = parsed(text)
    if (!isFields(offset)) continue
    // Before its first commit it has only where it began.
    const lsn = numberLsn(offset.lsn_commit) ?? numberLsn(offset.lsn_proc) ?? numberLsn(offset.lsn)
    if (lsn !== undefined) return lsn
  }
  return undefined
}

/** Whether Airbyte's own connector had read all rows of a stream: while it had not, its state says of what kind it is. */
export function isAirbyteFinished(state: Fields): boolean {
  return Object.keys(state).length > 0 && state.state_type === undefined && state.ctid === undefined
}

function parsed(text: unknown): unknown {
  if (typeof text !== 'string') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function numberLsn(value: unknown): Lsn | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? BigInt(value) : undefined
}
