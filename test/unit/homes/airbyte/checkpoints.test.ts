import { expect, test } from 'vitest'
import { Checkpoints } from '../../../../src/homes/airbyte/read/checkpoints.js'
import type { ConfiguredStream } from '../../../../src/homes/airbyte/read/configuredCatalog.js'
import type { MatchedStream } from '../../../../src/homes/airbyte/read/matchStreams.js'
import { readState } from '../../../../src/homes/airbyte/read/savedState.js'
import { StreamLines } from '../../../../src/homes/airbyte/read/streamLines.js'
import { BEFORE_ROWS, StreamPosition } from '../../../../src/source/position.js'

const origin = { system: '77', timeline: 1, database: 'db', slot: 's', epoch: 1, captured: [1] }
const place = { lsn: 800n, seq: BEFORE_ROWS, sub: 0, end: 800n, fingerprint: 0, snapshot: undefined }
const from = new StreamPosition(origin, place)

function streamOf(name: string, mode: ConfiguredStream['mode'], oid: number) {
  const stream = { descriptor: { name, namespace: 'public' }, mode, key: undefined, fields: undefined }
  return {
    matched: { stream, facts: { table: { oid } } } as unknown as MatchedStream,
    lines: new StreamLines(stream, oid),
  }
}
const streams = [
  streamOf('kept', 'incremental', 1),
  streamOf('new', 'incremental', 2),
  streamOf('r', 'full_refresh', 3),
]

test.each(['global', 'legacy'] as const)(
  'a STATE of a full refresh, of type %s, keeps what the client has of the other streams, and of no new one',
  (type) => {
    const checkpoints = new Checkpoints({ type, everyMs: 0, streams, from })
    const states = [checkpoints.lines(undefined, 'refreshed'), checkpoints.lines(undefined, 'full_refresh')]
    for (const line of states) {
      const { streams: saved } = readState(JSON.parse(line))
      expect(saved.map(({ descriptor, at }) => [descriptor.name, (at as StreamPosition).place.lsn])).toEqual([
        ['kept', 800n],
      ])
    }
    // No place of this run was stated.
    expect(checkpoints.none).toBe(true)
    const later = new StreamPosition({ ...origin, captured: [1, 2] }, { ...place, lsn: 900n, end: 900n })
    checkpoints.lines(later)
    const { streams: saved } = readState(JSON.parse(checkpoints.lines(undefined, 'refreshed')))
    expect(saved.map(({ descriptor, at }) => [descriptor.name, (at as StreamPosition).place.lsn])).toEqual([
      ['kept', 900n],
      ['new', 900n],
    ])
  },
)
