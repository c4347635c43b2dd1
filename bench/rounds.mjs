import { ContestantProcess } from './contestantProcess.mjs'
import { CpuWatch } from './machine.mjs'

/** Longer than the slowest contestant needs on a slow machine; one that hangs must not hold up the bench for ever. */
const LIMIT_SECONDS = 300

/** Runs one command to its end: wall and CPU seconds, the server's CPU seconds, peak memory, and others' CPU meanwhile. */
export async function measure(server, command) {
  const watch = new CpuWatch(server.pid, ...(server.source === undefined ? [] : [server.source.pid]))
  const usage = await new ContestantProcess(command).finished(LIMIT_SECONDS)
  return { ...usage, ...(await watch.stop(usage.cpu)) }
}

/**
 * `run(contestant, round)` for each, A B C A B C …, so that whatever changes on the machine meets all of them. Gives
 * each contestant's figures, a round each. One that fails is told of and left out, unless it is `ours`.
 */
export async function interleave(contestants, rounds, ours, run) {
  const results = new Map(contestants.map(({ name }) => [name, { name, rounds: [] }]))
  for (let round = 1; round <= rounds; round++) {
    for (const contestant of contestants.filter(({ name }) => results.has(name))) {
      process.stderr.write(`  round ${round} of ${rounds}: ${contestant.name}\n`)
      try {
        results.get(contestant.name).rounds.push(await run(contestant, round))
      } catch (error) {
        if (contestant.name === ours) throw error
        console.log(`\n${contestant.name} failed, and is left out: ${error.message}`)
        results.delete(contestant.name)
        process.exitCode = 1
      }
    }
  }
  return [...results.values()]
}

/** What each round of `result` is of the same round of `peer`; undefined without a peer. */
export function ratios(result, peer, figure) {
  if (peer === undefined) return undefined
  return result.rounds.map((one, round) => one[figure] / peer.rounds[round][figure])
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** `share` of the values are at or below it. */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
}
