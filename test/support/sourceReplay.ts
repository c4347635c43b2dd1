import { comparePlaces, StreamPosition } from '../../src/source/position.js'
import type { SourceRecord } from './sourceReader.js'

type Row = Readonly<Record<string, unknown>>

/**
 * What a consumer that writes by key has after these records. Fails where the records do not fit what was there: a row
 * created twice, a change of one that is not there.
 */
export function replay(records: readonly SourceRecord[], table: string): Row[] {
  const rows = new Map<string, Row>()
  for (const record of records) {
    if (record.table !== table) continue
    const key = JSON.stringify(record.key)
    const fail = (problem: string): never => {
      throw new Error(`${problem}: ${JSON.stringify(record)}`)
    }
    switch (record.operation) {
      case 'snapshot':
      case 'create':
        if (rows.has(key)) fail('a row is there already')
        rows.set(key, record.after!)
        break
      case 'update': {
        const oldKey = record.oldKey === undefined ? key : JSON.stringify(record.oldKey)
        const old = rows.get(oldKey) ?? fail('no row to update')
        rows.delete(oldKey)
        if (rows.has(key)) fail('a row is there already')
        const unchanged = (record.unchanged ?? []).map((name) => [name, old[name]])
        rows.set(key, { ...record.after!, ...Object.fromEntries(unchanged) })
        break
      }
      case 'delete':
        if (!rows.delete(key)) fail('no row to delete')
        break
      case 'truncate':
        rows.clear()
    }
  }
  return [...rows.values()].map(sorted)
}

/** With the fields in one order, to be compared. */
export function sorted(row: Row): Row {
  return Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))
}

export function byField(name: string): (a: Row, b: Row) => number {
  return (a, b) => (Number(a[name]) < Number(b[name]) ? -1 : 1)
}

/** Ids are unique and positions strictly increase: what every run promises. */
export function requireOrder(records: readonly SourceRecord[]): void {
  const ids = new Set<string>()
  let before: StreamPosition | undefined
  for (const record of records) {
    if (ids.has(record.id)) throw new Error(`id ${record.id} came twice`)
    ids.add(record.id)
    const position = StreamPosition.parse(record.position)
    if (before !== undefined && comparePlaces(before.place, position.place) >= 0) {
      throw new Error(`position ${position} does not come after ${before}`)
    }
    before = position
  }
}
