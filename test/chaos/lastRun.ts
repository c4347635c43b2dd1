import { startTailrace, type TailraceProcess } from '../support/tailrace.js'

const LAST_RUN_MS = 600_000

/** A run that nobody disturbs, to its end; gives what is wrong with that. `told`: what there is to say of it. */
export async function lastRun(
  args: readonly string[],
  told: (run: TailraceProcess) => Promise<void>,
): Promise<string[]> {
  await using run = startTailrace(args)
  const late = setTimeout(() => run.kill('SIGKILL'), LAST_RUN_MS)
  const { code, signal } = await run.ended
  clearTimeout(late)
  await told(run)
  return code === 0 ? [] : [`the last run ended with ${signal ?? `exit code ${code}`}:\n${run.stderr}`]
}
