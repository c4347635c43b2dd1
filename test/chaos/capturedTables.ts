import { aheadOf } from '../../src/cli/stream/aheadFile.js'
import { readState } from '../../src/cli/stream/stateFile.js'
import { Output } from '../../src/sinks/files/output.js'
import { StreamPosition } from '../../src/source/position.js'
import { tailrace } from '../support/tailrace.js'
import type { Random } from './random.js'
import type { Turn } from './replay.js'
import { chaosTables, nameOf, optionalTables, optionName, tablesOption } from './tables.js'

/** Which tables are captured: some come and go, and are read once more. */
export class CapturedTables {
  readonly turns: Turn[] = []
  readonly #state: string
  readonly #output: string
  readonly #log: (line: string) => void
  readonly #without = new Set<string>()

  constructor(state: string, output: string, log: (line: string) => void) {
    this.#state = state
    this.#output = output
    this.#log = log
  }

  /** `--tables` of the next run. */
  get option(): string {
    return tablesOption(this.#without)
  }

  /** Between two runs. */
  async change(random: Random): Promise<void> {
    const offset = await keptBytes(this.#state, this.#output)
    // Nothing stands there yet that could be gone on with.
    if (offset === undefined) return
    const { table, isAdded } = this.#toggle(random)
    this.#log(`  from now on ${table} is ${isAdded ? 'captured' : 'not captured'}`)
    this.turns.push({ offset, table, what: isAdded ? 'added' : 'removed' })
  }

  /** Asks the run that is on. The next one has the same tables by its own options, if this one has not done it yet. */
  async signal(random: Random): Promise<void> {
    const offset = await keptBytes(this.#state, this.#output)
    if (offset === undefined) return
    if (random.chance(0.5)) {
      const table = random.pick(chaosTables.filter((one) => one.key.length > 0 && !this.#without.has(nameOf(one))))
      this.turns.push({ offset, table: nameOf(table), what: 'again' })
      return this.#ask('resnapshot', nameOf(table))
    }
    const { table, isAdded } = this.#toggle(random)
    this.turns.push({ offset, table, what: isAdded ? 'added' : 'leaving' })
    return this.#ask(isAdded ? 'add' : 'remove', table)
  }

  #toggle(random: Random): { table: string; isAdded: boolean } {
    const table = random.pick(optionalTables)
    const isAdded = this.#without.delete(table)
    if (!isAdded) this.#without.add(table)
    return { table, isAdded }
  }

  async #ask(command: string, table: string): Promise<void> {
    const { code, stderr } = await tailrace(['signal', command, '--state', this.#state, optionName(table)])
    const answer = code === 0 ? 'done' : (stderr.trim().split('\n')[0] ?? '')
    this.#log(`  signal ${command} ${table}: ${answer}`)
  }
}

/** How much of the output the next run leaves as it is; undefined when it begins anew. */
async function keptBytes(statePath: string, outputPath: string): Promise<number | undefined> {
  const recorded = await readState(statePath)
  if (recorded?.output === undefined) return undefined
  const output = await Output.open(outputPath)
  try {
    // What came since the state was recorded may be known all the same.
    const state = (await aheadOf(statePath, recorded, output)) ?? recorded
    if (state.position === null || StreamPosition.parse(state.position).beginsAnew) return undefined
    return state.output!.bytes
  } finally {
    await output.close()
  }
}
