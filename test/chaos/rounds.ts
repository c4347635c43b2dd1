import { MIXES, type MixName } from './mixes.js'
import type { Counts } from './moments.js'
import type { Random } from './random.js'

export const STRATEGIES = ['consistent', 'incremental', 'auto'] as const
export type Strategy = (typeof STRATEGIES)[number]

/** What is drawn for a round, all of it from its seed. */
export interface Round extends Counts {
  readonly strategy: Strategy
  readonly major: number
  readonly mix: MixName
  readonly writers: number
  /** Of the largest table. */
  readonly rows: number
  /** Columns come, change and go. */
  readonly schemaChanges: boolean
}

/** What the command line fixes; the rest is drawn. */
export type Fixed = { readonly [K in keyof Round]?: Round[K] | undefined }

/**
 * Two of three are mixed: kills all over a run's life and something of everything else. The others have few kills, in
 * quick succession, in a long scan of tables that change fast.
 */
export function drawRound(random: Random, majors: readonly number[], fixed: Fixed): Round {
  const isLongScan = random.chance(1 / 3)
  const some = (most: number) => random.integer(0, most)
  const mixes = Object.keys(MIXES) as MixName[]
  const common = {
    major: random.pick(majors),
    mix: random.pick(mixes),
    schemaChanges: random.chance(0.5),
    takes: some(1),
    sleeps: some(1),
    tableChanges: some(2),
    signals: some(2),
  }
  const mixed: Round = {
    ...common,
    strategy: random.pick(STRATEGIES),
    writers: random.integer(2, 4),
    rows: random.integer(4, 20) * 1000,
    kills: 20,
    cuts: some(3),
    restarts: some(2),
  }
  const longScan: Round = {
    ...common,
    strategy: 'incremental',
    mix: random.pick(['rush', 'rush', ...mixes]),
    writers: 5,
    rows: random.integer(30, 50) * 1000,
    kills: 8,
    cuts: some(1),
    restarts: some(1),
    snapshotShare: 0.7,
  }
  const drawn = isLongScan ? longScan : mixed
  const given = Object.fromEntries(Object.entries(fixed).filter(([, value]) => value !== undefined))
  return { ...drawn, ...given }
}

export function describeRound(round: Round): string {
  const { strategy, major, mix, writers, rows, kills, cuts, restarts, sleeps, takes } = round
  const columns = round.schemaChanges ? ', columns changed' : ''
  const tables = round.tableChanges ? `, tables changed ${round.tableChanges} times` : ''
  const again = round.signals ? `, ${round.signals} signals` : ''
  return `PostgreSQL ${major}, ${strategy}, ${mix} by ${writers} writers, ${rows} rows: ${kills} kills, ${cuts} cuts, ${restarts} restarts, ${sleeps} sleeps, slot taken ${takes} times${columns}${tables}${again}`
}
