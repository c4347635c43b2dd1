import { expect, test } from 'vitest'
import { parseTimelineHistory } from '../../../src/postgres/replication/timelineHistory.js'

test('a history file tells where each timeline was left', () => {
  const text = '# a comment\n1\t0/3000158\tno recovery target specified\n\n2\t1/A0000000\tbefore 2026-01-01 00:00:00\n'
  expect([...parseTimelineHistory(text)]).toEqual([
    [1, 0x3000158n],
    [2, 0x1_a000_0000n],
  ])
})
