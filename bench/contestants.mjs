import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dist } from './dist.mjs'
import { pgRecvlogical, psql } from './programs.mjs'

export const TAILRACE = 'tailrace'
export const PG_RECVLOGICAL = 'pg_recvlogical'
export const PSQL = 'psql COPY'

const MISSING = 'apt-get install postgresql-client: its ratios are left out'

/** `tailrace` with these arguments, as users run it. */
export function tailrace(name, args) {
  return { name, command: process.execPath, args: [resolve(dist, 'cli/main.js'), ...args] }
}

/** Those who read a slot up to `lsn` and write it to `file` (`-`: standard output); `lsn` undefined: for ever. */
export function slotReaders({ url, publication, table, lsn, file }) {
  const environment = { BENCH_URL: url, BENCH_PUBLICATION: publication, BENCH_END: lsn ?? '' }
  const until = lsn === undefined ? [] : ['--until', 'current']
  const end = lsn === undefined ? [] : ['--endpos', lsn]
  const options = ['-o', 'proto_version=1', '-o', `publication_names=${publication}`]
  return [
    {
      name: TAILRACE,
      prepare: (slot) =>
        tailrace(TAILRACE, [
          'stream',
          '--url',
          url,
          '--tables',
          table,
          '--slot',
          slot,
          '--publication',
          publication,
          ...until,
        ]),
    },
    pgRecvlogical && {
      name: PG_RECVLOGICAL,
      prepare: (slot) => ({
        command: pgRecvlogical,
        args: ['-d', url, '--slot', slot, '--start', '--no-loop', '-F', '0', '-f', file, ...end, ...options],
      }),
    },
    peer('pgwire + JSON.stringify', 'pgwire.mjs', environment),
    peer('pg-logical-replication + JSON.stringify', 'pgLogicalReplication.mjs', environment),
    lsn !== undefined && peer('frames only (ours, nothing decoded)', 'framesOnly.mjs', environment),
  ].filter(Boolean)
}

export function copyReader(url, table) {
  return psql && { name: PSQL, command: psql, args: ['-X', '-d', url, '-c', `COPY ${table} TO STDOUT`] }
}

/** Which programs are missing, a line each. */
export function missingPrograms() {
  const found = { pg_recvlogical: pgRecvlogical, psql }
  return Object.keys(found)
    .filter((name) => found[name] === undefined)
    .map((name) => `${name} is missing (${MISSING})`)
}

function peer(name, file, environment) {
  const path = fileURLToPath(new URL(`peers/${file}`, import.meta.url))
  return {
    name,
    prepare: (slot) => ({
      command: process.execPath,
      args: [path],
      environment: { ...environment, BENCH_SLOT: slot },
    }),
  }
}
