import { readFile } from 'node:fs/promises'
import type { TestDatabase } from '../../support/database.js'
import { type OutputRecord, parseLines, startTailrace, type TailraceResult } from '../../support/tailrace.js'

/** `tailrace stream` of tables of this database. */
export function streamArgs(db: TestDatabase, tables: string, ...more: readonly string[]): string[] {
  return ['stream', '--url', db.url, '--tables', tables, ...more]
}

/** Runs `args` while `change` is made, until `count` lines have come; then all that was written until the end. */
export async function linesOf(
  args: readonly string[],
  count: number,
  change: () => Promise<unknown> = async () => {},
): Promise<TailraceResult> {
  await using running = startTailrace(args)
  await running.says('streaming from')
  await change()
  await running.waitFor(() => running.collected.split('\n').length > count, `line ${count} comes`)
  running.kill('SIGTERM')
  const ended = await running.ended
  return { ...ended, stdout: running.collected, stderr: running.stderr, records: running.records }
}

/** An output's records; throws when a line is torn. */
export async function recordsIn(path: string): Promise<readonly OutputRecord[]> {
  return parseLines(await readFile(path, 'utf8'))
}

/** `create 3`, for a look at what came. */
export function summary(records: readonly OutputRecord[]): string[] {
  return records.map(({ operation, key }) => `${operation} ${Object.values(key ?? {}).join(',')}`)
}
