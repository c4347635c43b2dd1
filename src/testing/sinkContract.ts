import { Check, type CheckOptions } from './check.js'
import { atLeastOnce, backPressure, closes, noAckBeforeDurable, opensAgain, orderPerKey, rejects } from './checks.js'
import { require } from './failure.js'
import type { TargetKind } from './judge.js'
import type { SinkTarget } from './sinkTarget.js'

export interface SinkContract {
  /** What whoever reads the target finds: each change (`log`), or rows as they are by now (`rows`). */
  readonly kind: TargetKind
  /** Called by each check, for a target of its own. */
  target(): SinkTarget | Promise<SinkTarget>
  /** A value of the column `note` with which the sink rejects a row: `rejects` needs it. */
  readonly rejectedNote?: string
  /** So many bytes the sink may take without waiting while its target takes nothing. Default: 4 MiB. */
  readonly maxHeldBytes?: number
  /** So long a call may take that has nothing to wait for, in milliseconds. Default: 10,000. */
  readonly timeoutMs?: number
  /** Checks that the sink cannot be given, each with the reason. */
  readonly without?: { readonly [Name in CheckName]?: string }
}

export type CheckName =
  | 'order per key'
  | 'no ack before durable'
  | 'at least once'
  | 'opened again'
  | 'back-pressure'
  | 'close'
  | 'rejects'

export interface SinkCheck {
  readonly name: CheckName
  /** The name, and what is checked. */
  readonly title: string
  /** As `without` says why it is not to be run; undefined: it is. */
  readonly skipped: string | undefined
  /** Rejects with what is wrong: a `ContractFailure`, or an error of the sink or its target. */
  run(): Promise<void>
}

const CHECKS: Readonly<Record<CheckName, { readonly says: string; readonly run: (check: Check) => Promise<void> }>> = {
  'order per key': { says: 'what happens to a row comes in its order, once in a run', run: orderPerKey },
  'no ack before durable': { says: 'whatever was flushed can be read', run: noAckBeforeDurable },
  'at least once': {
    says: 'killed between any two calls it gets what it lacks, and nothing is lost',
    run: atLeastOnce,
  },
  'opened again': { says: 'closed and opened behind an error it goes on where its last flush was', run: opensAgain },
  'back-pressure': { says: 'it waits while its target takes nothing', run: backPressure },
  close: { says: 'it lets go of everything, also twice and behind an error', run: closes },
  rejects: { says: 'what can never be written is told, and the rest goes on', run: rejects },
}

/**
 * What docs/sinks/own.md asks of a sink, as checks for any test runner:
 *
 * ```ts
 * for (const { title, run, skipped } of sinkContract({ kind: 'log', target })) test(title, { skip: skipped }, run)
 * ```
 */
export function sinkContract(contract: SinkContract): readonly SinkCheck[] {
  const { kind, target, rejectedNote, maxHeldBytes = 4 * 1024 * 1024, timeoutMs = 10_000, without = {} } = contract
  const options: CheckOptions = { kind, rejectedNote, maxHeldBytes, timeoutMs }
  return Object.entries(CHECKS).map(([key, { says, run }]) => {
    const name = key as CheckName
    const skipped = without[name]
    return {
      name,
      title: `${name}: ${says}`,
      skipped,
      run: async () => {
        require(skipped === undefined ? '' : `it is skipped: ${skipped}`)
        await using check = new Check(await target(), options)
        await run(check)
      },
    }
  })
}
