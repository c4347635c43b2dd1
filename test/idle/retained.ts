import type { Queryable } from '../../src/postgres/queryable.js'

/** What the server keeps for a slot at one moment, in bytes. */
export interface Sample {
  readonly second: number
  /** Since the first sample. */
  readonly written: number
  /** From the slot's restart LSN on: what the server may not remove. */
  readonly retained: number
  /** From the slot's confirmed LSN on: what would be sent again. */
  readonly unconfirmed: number
  /** All files of `pg_wal`. */
  readonly onDisk: number
}

/** One segment file: the server removes whole ones. */
const SEGMENT = 16 * 1024 * 1024

export async function sample(queryable: Queryable, slot: string, since: string, second: number): Promise<Sample> {
  const [row] = await queryable.query<Record<Exclude<keyof Sample, 'second'>, string>>(
    `SELECT (now.lsn - $2::pg_lsn)::text AS written, (now.lsn - s.restart_lsn)::text AS retained,
            (now.lsn - s.confirmed_flush_lsn)::text AS unconfirmed,
            (SELECT sum(size) FROM pg_catalog.pg_ls_waldir())::text AS "onDisk"
       FROM pg_catalog.pg_replication_slots s, pg_catalog.pg_current_wal_lsn() AS now (lsn)
      WHERE s.slot_name = $1`,
    [slot, since],
  )
  const { written, retained, unconfirmed, onDisk } = row!
  return {
    second,
    written: Number(written),
    retained: Number(retained),
    unconfirmed: Number(unconfirmed),
    onDisk: Number(onDisk),
  }
}

/** Whether what is kept goes up with what is written, and not only up and down: by the two halves of the time. */
export function grows(samples: readonly Sample[]): boolean {
  const half = Math.floor(samples.length / 2)
  const [early, late] = [maximum(samples.slice(0, half)), maximum(samples.slice(half))]
  return late > 1.5 * early + SEGMENT
}

export function maximum(samples: readonly Sample[]): number {
  return Math.max(...samples.map(({ retained }) => retained))
}
