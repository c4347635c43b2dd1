import { parseArgs } from 'node:util'
import { toolsMajor } from './programs.mjs'

/** What the bars speak of: 1 M rows. */
export const FULL_ROWS = 1_000_000

export const USAGE = `Usage: npm run bench -- [names…] [--rounds N] [--rows N] [--major N] [--apply-connections N] [--json FILE] [--quick]

Names: backlog, one-row, huge, large, snapshot, latency, memory (all of them without a name); and, only by
name: resume, scan, micro; apply, which is apply-copy, apply-changes, apply-one-row, apply-pgbench and apply-latency;
verify, which is verify-tables and verify-live; airbyte, which is airbyte-refresh, airbyte-drain and airbyte-catalog;
conduit, which is conduit-drain, conduit-snapshot and conduit-apply; and pipeline, which is pipeline-snapshot, pipeline-drain,
pipeline-one-row and pipeline-huge.

  --rounds N   how often each contestant runs (default 3)
  --rows N     rows of the table (default ${FULL_ROWS}; the bars are judged with no less)
  --major N    PostgreSQL of the server (default: that of pg_recvlogical, else 17)
  --apply-connections N  apply-changes over N connections, too
  --json FILE  every round's figures, too
  --quick      one round of 100,000 rows: to see that it runs`

export function readOptions(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      rows: { type: 'string' },
      major: { type: 'string' },
      json: { type: 'string' },
      'apply-connections': { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { quick, json, help } = values
  return {
    names: positionals,
    rounds: whole('rounds', values.rounds ?? (quick ? 1 : 3)),
    rows: whole('rows', values.rows ?? (quick ? FULL_ROWS / 10 : FULL_ROWS)),
    major: whole('major', values.major ?? toolsMajor ?? 17),
    applyConnections: whole('apply-connections', values['apply-connections'] ?? 1),
    json,
    quick,
    help,
  }
}

function whole(name, given) {
  const value = Number(given)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number, not ${given}`)
  return value
}
