import { test } from 'vitest'
import type { Change, SinkContract } from '../../src/testing/index.js'
import { sinkContract } from '../../src/testing/index.js'

/** Each check of the sinks' contract as a test. */
export function testContract(what: string, contract: SinkContract): void {
  for (const { title, run, skipped } of sinkContract(contract)) {
    test.skipIf(skipped !== undefined)(`${what}: ${title}${skipped === undefined ? '' : ` (not so: ${skipped})`}`, run)
  }
}

/** What lines of the format `tailrace` do to rows of the contract's table. */
export function changesIn(lines: string): Change[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line.replace(/"id":(\d+)/g, '"id":"$1"')))
    .filter(({ operation }) => operation !== 'schema')
    .map(({ key, after }) => ({ key: key.id, version: after?.version ?? null }))
}
