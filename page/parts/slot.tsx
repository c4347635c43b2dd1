import type { SlotStatus } from '../../src/homes/pipeline/status/status.js'
import { bytes, duration } from '../format.js'

const LEVELS = { ok: 'safe', half: 'at_risk', near: 'in_trouble', reached: 'in_trouble', lost: 'in_trouble' } as const

const LIMITS = {
  max_slot_wal_keep_size: 'max_slot_wal_keep_size of the server',
  walBudgetBytes: 'wal_budget_bytes of the source',
} as const

/** How much the server keeps for the run, and when that becomes too much. */
export function Slot({ slot, name }: { readonly slot: SlotStatus; readonly name: string | null }) {
  const { retainedBytes, limitBytes, limit, level, walStatus, active } = slot
  const share = limitBytes === null ? undefined : Math.min(100, (100 * retainedBytes) / Math.max(1, limitBytes))
  return (
    <section class="card slot" aria-label="Replication slot">
      <h2>
        What the server keeps for it
        <span class="state">
          <span class={`dot ${LEVELS[level]}`} aria-hidden="true" />
          {level === 'lost' ? 'lost' : active ? 'being read' : 'nobody reads it'}
        </span>
      </h2>
      <div class="gauge">
        <p class="big">
          {bytes(retainedBytes)}{' '}
          <span class="muted">of WAL{limitBytes !== null && `, ${bytes(limitBytes)} are allowed`}</span>
        </p>
        {share !== undefined && (
          <meter
            class={LEVELS[level]}
            min={0}
            max={100}
            value={share}
            aria-label="WAL held, of what is allowed"
            aria-valuetext={`${Math.round(share)} percent`}
          />
        )}
      </div>
      <dl>
        <div class="fact">
          <dt>time to trouble</dt>
          <dd>{trouble(slot)}</dd>
        </div>
        <div class="fact">
          <dt>limit</dt>
          <dd>{limit === null ? 'none: max_slot_wal_keep_size is not set' : LIMITS[limit]}</dd>
        </div>
        <div class="fact">
          <dt>slot</dt>
          <dd>
            {name ?? ''} {walStatus !== null && <span class="muted">{walStatus}</span>}
          </dd>
        </div>
      </dl>
    </section>
  )
}

function trouble({ level, limitBytes, secondsToLimit }: SlotStatus): string {
  if (level === 'lost') return 'it has come: the slot is lost'
  if (level === 'reached') return 'now: at its next checkpoint the server may take the slot away'
  if (limitBytes === null) return 'when the disk is full: nothing else ends it'
  return secondsToLimit === null
    ? 'none: it does not grow'
    : `about ${duration(secondsToLimit)}, as fast as it grows now`
}
