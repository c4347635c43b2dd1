import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import type { Transaction } from '../../../../src/core/record.js'
import type { KeyColumn } from '../../../../src/postgres/catalog/keyColumns.js'
import { parseTransactionSnapshot } from '../../../../src/postgres/transactionSnapshot.js'
import { KeyOrder } from '../../../../src/source/scan/keyOrder.js'
import {
  mayHaveMore,
  parseProgress,
  progressToJson,
  type SnapshotProgress,
  unreadTable,
} from '../../../../src/source/scan/progress.js'
import { beginOf, firstUnread, type Reading } from '../../../../src/source/scan/stretches.js'
import { TableScan } from '../../../../src/source/scan/tableScan.js'
import { Unproved } from '../../../../src/source/scan/unproved.js'
import { DROP, EMIT, ONLY_CREATE, ONLY_DELETE, type ScannedChange, WAIT } from '../../../../src/source/scan/verdict.js'

const ID: KeyColumn = {
  name: 'id',
  typeOid: 23,
  typeName: 'integer',
  collate: '',
  byBytes: false,
  operators: 'pg_catalog',
}
const OID = 1
const KEYS = 8

interface Row {
  readonly n: number
  /** Out of line: an update that leaves it alone does not carry it. */
  readonly big: number
}

interface Change {
  readonly operation: 'insert' | 'update' | 'delete' | 'truncate'
  readonly oldKey: number
  readonly newKey: number
  readonly n: number
  readonly big: number | undefined
}

interface Committed extends Transaction {
  readonly change: Change
  readonly end: bigint
  visible: boolean
}

/** Kinds of updates that leave the large value alone. */
const WITHOUT_BIG = [3, 7, 8]

/** A server with one table; each transaction changes one row, and may be decoded before others see it. */
class Server {
  readonly log: Committed[] = []
  readonly #wholeOnly: boolean
  #lsn = 1000n

  /** `wholeOnly`: each change carries all values. */
  constructor(wholeOnly = false) {
    this.#wholeOnly = wholeOnly
  }

  /** Whatever the drawn numbers make of the table as it is. Whoever locked a row lets go of it when he is visible. */
  commit(drawn: number, first: number, second: number, visible: boolean): void {
    const kind = this.#wholeOnly && WITHOUT_BIG.includes(drawn) ? 6 : drawn
    const rows = this.rows(() => true)
    const free = (key: number) => this.log.every(({ change, visible: seen }) => seen || !touches(change, key))
    const n = this.log.length
    if (!free(first)) return
    let change: Change | undefined
    if (kind === 9) {
      if (!this.log.every(({ visible: seen }) => seen)) return
      change = { operation: 'truncate', oldKey: 0, newKey: 0, n, big: undefined }
    } else if (!rows.has(first)) change = { operation: 'insert', oldKey: 0, newKey: first, n, big: n }
    else if (kind < 3) change = { operation: 'delete', oldKey: first, newKey: 0, n, big: undefined }
    else if (kind < 6 && !rows.has(second) && free(second)) {
      change = { operation: 'update', oldKey: first, newKey: second, n, big: kind === 3 ? undefined : n }
    } else
      change = { operation: 'update', oldKey: first, newKey: first, n, big: kind === 7 || kind === 8 ? undefined : n }
    const commitLsn = this.#lsn
    this.#lsn += 16n
    // A truncate's lock is held until others see it.
    const seen = visible || change.operation === 'truncate'
    this.log.push({ xid: 100 + n, commitLsn, commitTime: 0n, end: commitLsn + 8n, change, visible: seen })
  }

  rows(sees: (transaction: Committed) => boolean): Map<number, Row> {
    const rows = new Map<number, Row>()
    for (const one of this.log) if (sees(one)) apply(rows, one.change)
    return rows
  }

  read(): { reading: Reading; rows: Map<number, Row> } {
    const next = 100 + this.log.length
    const running = this.log.filter(({ visible }) => !visible).map(({ xid }) => xid)
    const snapshot = `${running[0] ?? next}:${next}:${running.join(',')}`
    return { reading: { snapshot, until: this.#lsn }, rows: this.rows(({ visible }) => visible) }
  }
}

function touches({ operation, oldKey, newKey }: Change, key: number): boolean {
  return operation === 'truncate' || oldKey === key || newKey === key
}

function apply(rows: Map<number, Row>, { operation, oldKey, newKey, n, big }: Change): void {
  if (operation === 'truncate') return rows.clear()
  const old = rows.get(oldKey)
  if (oldKey !== 0) rows.delete(oldKey)
  if (newKey !== 0) rows.set(newKey, { n, big: big ?? old?.big ?? -1 })
}

interface Mode {
  readonly again: boolean
  /** Now and then the key of an old row is not told. */
  readonly unknown: boolean
  /** The consumer deletes what is not among the rows of a chunk, wherever it had it from. */
  readonly repairs?: boolean
  /** It has got rows of which no position tells. */
  readonly more?: boolean
  /** It dies, and goes on with all it has from a position that it stored before. Each change carries all values. */
  readonly crashes?: boolean
  /** Of a change that comes again it takes the first only. What it has got is visible when the next run begins. */
  readonly knows?: boolean
}

/** The source and its consumer. */
class Run {
  readonly server: Server
  readonly mode: Mode
  readonly consumer: Map<number, Row>
  readonly problems: string[] = []
  unproved = new Unproved()
  scan: TableScan
  next: number
  chunk: { rows: [number, Row][]; reading: Reading; whole: boolean } | undefined
  asking = false
  wanted: { key: readonly string[]; xid: number }[] = []
  readonly known = new Set<number>()
  /** Of changes whether their key is told. */
  readonly hidden = new Map<number, boolean>()
  stored = { progress: '', next: 0 }

  constructor(server: Server, mode: Mode) {
    this.server = server
    this.mode = mode
    // The stream may be behind.
    this.next = server.log.length >> 1
    const had = new Set(server.log.slice(0, this.next))
    this.consumer = mode.again || mode.more ? server.rows((one) => mode.more || had.has(one)) : new Map()
    const table = { oid: OID, id: 'one', schema: 'public', name: 't', key: ['id'] }
    const unread = unreadTable(table, { again: mode.again })
    this.scan = this.#scanOf(mode.more ? mayHaveMore(unread, true) : unread)
    // Without a slot's help: what is not visible when a first scan begins comes by the stream.
    if (!mode.again && !mode.more) this.next = 0
    this.store()
  }

  /** The position at which the stream is. */
  store(): void {
    const { progress } = this.scan
    const stored = progressToJson({ id: '', rows: 0, tables: [progress], unproved: this.unproved.transactions })
    this.stored = { progress: JSON.stringify(stored), next: this.next }
  }

  crash(): void {
    const { tables, unproved } = parseProgress(JSON.parse(this.stored.progress))
    if (this.mode.knows) for (const one of this.server.log.slice(0, this.next)) one.visible = true
    this.#begin(mayHaveMore(tables![0]!, true), unproved)
    this.next = this.stored.next
  }

  #scanOf(progress: TableScan['progress']): TableScan {
    return new TableScan(progress, {
      order: new KeyOrder([ID]),
      onUnproved: (transaction) => this.unproved.add(transaction, OID),
      onUnknownKey: () => this.problems.push('a key that is not known'),
      onApart: (key, { xid }) => {
        if (this.wanted.every((one) => one.key[0] !== key[0])) this.wanted.push({ key, xid })
      },
      onOvertaken: () => {},
    })
  }

  /** Everything but the position is forgotten. */
  restart(): void {
    const { progress } = this.scan
    const stored = progressToJson({ id: '', rows: 0, tables: [progress], unproved: this.unproved.transactions })
    const { tables, unproved } = parseProgress(JSON.parse(JSON.stringify(stored)))
    this.#begin(tables![0]!, unproved)
  }

  #begin(progress: TableScan['progress'], unproved: SnapshotProgress['unproved']): void {
    this.unproved = new Unproved(unproved)
    this.scan = this.#scanOf(progress)
    this.chunk = undefined
    this.asking = false
    this.wanted = []
  }

  /** Nothing comes that the consumer has, or of what it has not. */
  get isExact(): boolean {
    const { again, unknown, more = false, crashes = false } = this.mode
    return !again && !unknown && !more && !crashes
  }

  /** The next change, if it has not to wait. */
  stream(unknown: boolean): void {
    const one = this.server.log[this.next]
    if (one === undefined) return
    const { change } = one
    if (change.operation === 'truncate') {
      if (this.scan.truncate(one, this.next)) this.chunk = undefined
      if (!this.#isKnown(change)) this.consumer.clear()
      this.next++
      return
    }
    const { operation, oldKey, newKey } = change
    // Each time that it comes: by the names that its columns have in the WAL.
    if (!this.hidden.has(change.n)) this.hidden.set(change.n, unknown)
    const hidden = this.hidden.get(change.n)! && this.mode.unknown && operation === 'delete'
    const judged: ScannedChange = {
      operation,
      oldKey: oldKey === 0 || oldKey === newKey ? undefined : [String(oldKey)],
      newKey: newKey === 0 ? undefined : [String(newKey)],
      partial: operation !== 'delete' && change.big === undefined,
    }
    const verdict = hidden ? this.scan.judgeUnknown(one) : this.scan.judge(judged, one)
    if (verdict === WAIT) return
    this.next++
    if (verdict === EMIT) this.#consume(change)
    else if (verdict === ONLY_DELETE) this.#consume({ ...change, operation: 'delete', newKey: 0 })
    else if (verdict === ONLY_CREATE) this.#consume({ ...change, operation: 'insert', oldKey: 0 })
    else expect(verdict).toBe(DROP)
  }

  #isKnown({ n }: Change): boolean {
    if (!this.mode.knows) return false
    const isKnown = this.known.has(n)
    this.known.add(n)
    return isKnown
  }

  #consume(change: Change): void {
    const { operation, oldKey, newKey } = change
    if (this.#isKnown(change)) return
    if (operation === 'insert' && change.big === undefined) this.problems.push('a row that is not whole')
    if (operation === 'update' && change.big === undefined && !this.consumer.has(oldKey)) {
      this.problems.push(`no row ${oldKey}, whose update is not whole`)
    }
    if (this.isExact) {
      if (oldKey !== 0 && !this.consumer.has(oldKey)) this.problems.push(`no row ${oldKey} to ${operation}`)
      if (newKey !== 0 && newKey !== oldKey && this.consumer.has(newKey)) this.problems.push(`row ${newKey} twice`)
    }
    apply(this.consumer, change)
  }

  /** Takes the snapshot, or what was read of it as far as `limit`. */
  read(limit: number): void {
    const { scan } = this
    if (this.chunk === undefined) {
      if (!scan.unread) return
      if (!this.asking) {
        scan.asks()
        this.asking = true
        return
      }
      this.asking = false
      const { reading, rows } = this.server.read()
      if (!this.unproved.provedBy(reading.snapshot, OID)) return scan.rests()
      this.unproved.prune(reading.snapshot, () => true)
      const { stretches } = scan.progress
      const stretch = firstUnread(stretches)
      const from = Number(beginOf(stretches, stretch)?.[0] ?? 0)
      const to = Number(stretches[stretch]!.to?.[0] ?? KEYS)
      const found = [...rows].filter(([key]) => key > from && key <= to).sort(([a], [b]) => a - b)
      this.chunk = { rows: found.slice(0, limit), reading, whole: found.length < limit }
      scan.reads(reading)
      return
    }
    const piece = this.chunk.rows.splice(0, limit)
    const isLast = this.chunk.rows.length === 0 && this.chunk.whole
    if (this.mode.repairs) this.#repair(piece.at(-1)?.[0], isLast)
    for (const [key, row] of piece) {
      if (this.isExact && this.consumer.has(key)) this.problems.push(`row ${key} read twice`)
      this.consumer.set(key, row)
    }
    if (piece.length > 0) scan.delivered([String(piece.at(-1)![0])])
    if (this.chunk.rows.length > 0) return
    if (this.chunk.whole) scan.delivered(undefined)
    scan.rests()
    this.chunk = undefined
  }

  /** What a piece that ends with `last`, or is the end of its stretch, does not show is gone. */
  #repair(last: number | undefined, isLast: boolean): void {
    const { stretches } = this.scan.progress
    const stretch = firstUnread(stretches)
    const from = Number(beginOf(stretches, stretch)?.[0] ?? 0)
    const to = isLast ? Number(stretches[stretch]!.to?.[0] ?? KEYS) : (last ?? from)
    for (const one of [...this.consumer.keys()]) if (one > from && one <= to) this.consumer.delete(one)
  }

  readApart(): void {
    const [one] = this.wanted
    if (one === undefined) return
    const { reading, rows } = this.server.read()
    if (!parseTransactionSnapshot(reading.snapshot)!.sees(one.xid, 0n)) return
    this.wanted.shift()
    const row = rows.get(Number(one.key[0]))
    if (row !== undefined) this.consumer.set(Number(one.key[0]), row)
    this.scan.deliveredApart(one.key, reading, row !== undefined)
  }

  passed(): void {
    this.scan.passed(this.server.log[this.next - 1]?.end ?? 0n)
  }

  /** To the end of everything. */
  finish(): void {
    for (const one of this.server.log) one.visible = true
    for (let round = 0; round < 1000 && (this.scan.unread || this.next < this.server.log.length); round++) {
      this.stream(false)
      this.read(3)
      this.readApart()
    }
    if (this.scan.unread || this.next < this.server.log.length) this.problems.push('it does not come to an end')
  }
}

const keyUpTo = (max: number) => fc.integer({ min: 1, max })
const commitOf = (keys: number) => ({
  weight: 4,
  arbitrary: fc.tuple(
    fc.constant('commit' as const),
    fc.integer({ min: 0, max: 9 }),
    keyUpTo(keys),
    keyUpTo(keys),
    fc.boolean(),
  ),
})
const others = [
  { weight: 2, arbitrary: fc.tuple(fc.constant('see' as const)) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('stream' as const), fc.boolean()) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('read' as const), fc.integer({ min: 1, max: 3 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('apart' as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('pass' as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('restart' as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('store' as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('crash' as const)) },
] as const

vi.setConfig({ testTimeout: 30_000 })

/** Few keys: more happens to each. */
function requireExact(mode: Mode, keys = KEYS): void {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), keyUpTo(keys), keyUpTo(keys)), { maxLength: 16 }),
      // It takes many steps to get there: rows that come, a crash, a delete, and some of them again.
      fc.array(fc.oneof(commitOf(keys), ...others), { maxLength: 60, size: mode.crashes ? 'max' : 'small' }),
      (before, steps) => {
        const server = new Server(mode.crashes)
        for (const [kind, first, second] of before) server.commit(kind, first, second, true)
        const run = new Run(server, mode)
        for (const [what, ...drawn] of steps) {
          const [a, b, c, d] = drawn as [number, number, number, boolean]
          if (what === 'commit') server.commit(a, b, c, d)
          else if (what === 'see') for (const one of server.log.slice(0, -1)) one.visible = true
          else if (what === 'stream') run.stream(Boolean(a))
          else if (what === 'read') run.read(a)
          else if (what === 'apart') run.readApart()
          else if (what === 'pass') run.passed()
          else if (what === 'store') run.store()
          else if (what === 'crash' && mode.crashes) run.crash()
          else run.restart()
        }
        run.finish()
        expect(run.problems).toEqual([])
        expect(new Map([...run.consumer].sort())).toEqual(new Map([...server.rows(() => true)].sort()))
      },
    ),
    { numRuns: mode.crashes ? 300 : 1000 },
  )
}

test('a first scan gives every row once, and every later change of it', () => {
  requireExact({ again: false, unknown: false })
})

test('a table that is read once more ends as the source has it, and no update is of a row that is not there', () => {
  requireExact({ again: true, unknown: false })
  requireExact({ again: true, unknown: false, repairs: true }, 3)
})

test('a consumer that has more rows than positions tell ends as the source, and gets no update that it cannot apply', () => {
  requireExact({ again: false, unknown: false, more: true })
  requireExact({ again: false, unknown: false, more: true }, 3)
  requireExact({ again: false, unknown: true, more: true }, 3)
})

test('a consumer that dies again and again, and has what it got behind its position, ends as the source', () => {
  requireExact({ again: false, unknown: false, crashes: true })
  requireExact({ again: false, unknown: false, crashes: true }, 3)
  requireExact({ again: false, unknown: true, crashes: true }, 3)
})

test('a consumer that dies again and again, and leaves out what it knows, ends as the source', () => {
  requireExact({ again: false, unknown: false, crashes: true, knows: true })
  requireExact({ again: false, unknown: false, crashes: true, knows: true }, 3)
})

test('a scan stays exact where the stream does not tell a key', () => {
  requireExact({ again: false, unknown: true })
  requireExact({ again: true, unknown: true })
  requireExact({ again: true, unknown: true, repairs: true }, 3)
})

test('rows that are read once more behind a truncate have other ids', () => {
  const scan = new TableScan(unreadTable({ oid: OID, id: 'one', schema: 'public', name: 't', key: ['id'] }), {
    order: new KeyOrder([ID]),
    onUnproved: () => {},
    onUnknownKey: () => {},
    onApart: () => {},
    onOvertaken: () => {},
  })
  scan.reads({ snapshot: '100:100:', until: 1000n })
  scan.delivered(['5'])
  expect(scan.truncate({ xid: 100, commitLsn: 0x1000n, commitTime: 0n }, 3)).toBe(true)
  expect(scan.progress.id).toBe('0/1000/3')
})
