import type { Random } from './random.js'

/** Where in the life of a run something is done to it. */
export type Moment =
  /** So many milliseconds after its start: while Node loads, it connects, prepares, or goes on. */
  | { readonly in: 'start'; readonly afterMs: number }
  /** When so much of the snapshot is written. */
  | { readonly in: 'snapshot'; readonly share: number }
  /** So long after the snapshot was read: while its end is made durable and its slot permanent. */
  | { readonly in: 'snapshot end'; readonly afterMs: number }
  /** So long after it began to stream, though rows may still be read. */
  | { readonly in: 'streaming'; readonly afterMs: number }
  /** So long after it began to stream, all rows read. */
  | { readonly in: 'stream'; readonly afterMs: number }
  /** So long after a transaction committed that takes about a second to read: most likely in its middle. */
  | { readonly in: 'huge transaction'; readonly afterMs: number }
  /** When it begins to write its state once more: the kill comes at once, not after a wait. */
  | { readonly in: 'state' }

/** What is done to the network or the server. */
export type Disturbance =
  /** Every connection is reset. */
  | { readonly kind: 'reset' }
  /**
   * Nothing comes through, without a word to either side. New connections do again after `healMs`; TCP gives the old
   * ones up after `silentMs`.
   */
  | { readonly kind: 'swallow'; readonly healMs: number; readonly silentMs: number }
  | { readonly kind: 'restart'; readonly mode: 'fast' | 'immediate' }
  /** The process sleeps for longer than `wal_sender_timeout` (SIGSTOP). */
  | { readonly kind: 'sleep'; readonly forMs: number }

export interface RunPlan {
  readonly disturbances: readonly { readonly at: Moment; readonly what: Disturbance }[]
  /** Counted from the last disturbance on, if there is any. */
  readonly kill: Moment
  /** SIGTERM comes so long before SIGKILL; undefined: none comes. */
  readonly graceMs: number | undefined
  /** Somebody else reads the slot when it starts, for so long. */
  readonly takenMs: number | undefined
  /** It is started with another `--tables`. */
  readonly otherTables: boolean
  /** So long after it began to stream it is asked for a change of its tables, or to read one once more. */
  readonly signalMs: number | undefined
}

export interface Counts {
  readonly kills: number
  readonly cuts: number
  readonly restarts: number
  readonly sleeps?: number
  readonly takes?: number
  /** How often the list of tables changes. */
  readonly tableChanges?: number
  readonly signals?: number
  /** So much of the kills hit in the snapshot, as far as it lasts; default 0.3. */
  readonly snapshotShare?: number
}

/**
 * A run for each kill, in the order of a life: in the snapshot, which begins anew after each, at its end, in the stream;
 * and between them runs that live too short to get anywhere, so that two kills follow quickly. Cuts and restarts are
 * spread over the runs.
 */
export function drawPlans(random: Random, counts: Counts): RunPlan[] {
  const { kills, cuts, restarts, sleeps = 0, takes = 0, tableChanges = 0, signals = 0 } = counts
  const draw = (index: number) => drawMoment(random, index, kills, counts.snapshotShare ?? 0.3)
  const plans = Array.from({ length: kills }, (_, index) => ({
    disturbances: [] as { at: Moment; what: Disturbance }[],
    kill: draw(index),
    // 7 and 5 have no common divisor: it comes with each kind of moment but the writing of the state.
    graceMs: index % 7 === 5 && index % 5 !== 2 ? random.integer(0, 300) : undefined,
    takenMs: undefined as number | undefined,
    otherTables: false,
    signalMs: undefined as number | undefined,
  }))
  const disturb = (what: Disturbance) => {
    const index = random.integer(0, kills - 1)
    const at = draw(index)
    const during = at.in === 'state' ? ({ in: 'stream', afterMs: random.integer(0, 1500) } as const) : at
    plans[index]!.disturbances.push({ at: during, what })
  }
  for (let cut = 0; cut < cuts; cut++) {
    const swallow = { kind: 'swallow', healMs: random.integer(0, 2000), silentMs: random.integer(2000, 5000) } as const
    disturb(cut % 3 === 2 ? swallow : { kind: 'reset' })
  }
  for (let restart = 0; restart < restarts; restart++) {
    disturb({ kind: 'restart', mode: restart % 2 === 0 ? 'immediate' : 'fast' })
  }
  for (let sleep = 0; sleep < sleeps; sleep++) disturb({ kind: 'sleep', forMs: random.integer(3500, 5000) })
  // Not before there are a slot and a place in the stream.
  const late = () => plans[random.integer(Math.floor(kills / 3), kills - 1)]!
  for (let take = 0; take < takes; take++) late().takenMs = random.integer(300, 3000)
  for (let change = 0; change < tableChanges; change++) late().otherTables = true
  for (let signal = 0; signal < signals; signal++) {
    const plan = late()
    plan.signalMs = random.integer(0, 500)
    // While it does what it was asked, or its rows are read.
    plan.kill = { in: 'start', afterMs: random.integer(0, 1500) }
  }
  return plans
}

function drawMoment(random: Random, index: number, kills: number, snapshotShare: number): Moment {
  if (index % 5 === 3) return { in: 'start', afterMs: random.integer(0, 600) }
  const soon = index % 5 === 4
  const share = index / kills
  if (share < snapshotShare) return { in: 'snapshot', share: random.fraction() * 0.9 }
  // Shorter ones first: one that comes too late leaves nothing of it to the others.
  const past = share - snapshotShare
  if (past < 0.2) return { in: 'snapshot end', afterMs: random.integer(0, past * 2000) }
  if (index % 5 === 2) return { in: 'state' }
  if (index % 5 === 1) return { in: 'huge transaction', afterMs: random.integer(0, 800) }
  return { in: 'stream', afterMs: random.integer(0, soon ? 20 : 1500) }
}

export function describeMoment(moment: Moment): string {
  if (moment.in === 'snapshot') return `${Math.round(moment.share * 100)} % into the snapshot`
  if (moment.in === 'state') return 'while the state is written'
  return `${moment.afterMs} ms after the ${moment.in}`
}

export function describeDisturbance(what: Disturbance): string {
  if (what.kind === 'restart') return `the server is restarted (${what.mode})`
  if (what.kind === 'sleep') return `tailrace sleeps for ${what.forMs} ms`
  if (what.kind === 'reset') return 'every connection is reset'
  return `the network swallows everything, new connections for ${what.healMs} ms, old ones for ${what.silentMs} ms`
}
