// One rule of the design each (sections 3 and 4): what is broken, and the tests that shall see it, the most specific first.
const collector = 'src/source/changeCollector.ts'
const tableScan = 'src/source/scan/tableScan.ts'
const keySides = 'src/source/scan/keySides.ts'
const SCAN_TESTS = ['test/unit/source/scan/changesOfScan.test.ts', 'test/unit/source/scan/tableScan.test.ts']

export const MUTATIONS = [
  {
    rule: 'confirm the end LSN exactly',
    name: 'confirm + 1',
    edits: [
      {
        file: 'src/source/ackLedger.ts',
        from: 'lsn <= this.#limit) this.#confirmed = lsn - this.#mark',
        to: 'lsn <= this.#limit) this.#confirmed = lsn - this.#mark + 1n',
      },
    ],
    tests: ['test/unit/source/ackLedger.test.ts', 'test/integration/source/confirm.test.ts'],
  },
  {
    rule: 'a slot that others moved is told apart',
    name: 'any slot beyond the position counts as moved by us',
    edits: [
      {
        file: 'src/source/slotMark.ts',
        from: 'return (confirmed + slotMark(epoch)) % ALIGNMENT === 0n',
        to: 'return confirmed > 0n || epoch > 0',
      },
    ],
    tests: ['test/unit/source/start.test.ts'],
  },
  {
    rule: 'a slot that others moved is told apart',
    name: 'what is confirmed bears no mark',
    edits: [
      {
        file: 'src/source/ackLedger.ts',
        from: 'lsn <= this.#limit) this.#confirmed = lsn - this.#mark',
        to: 'lsn <= this.#limit) this.#confirmed = lsn',
      },
    ],
    tests: ['test/unit/source/ackLedger.test.ts'],
  },
  {
    rule: 'store first, confirm after',
    name: 'the state is written before the output is synced',
    edits: [
      { file: 'src/cli/stream/checkpoint.ts', from: '    await output.sync()\n', to: '' },
      {
        file: 'src/cli/stream/checkpoint.ts',
        from: '    await ack(written.position)\n',
        to: '    await output.sync()\n    await ack(written.position)\n',
      },
    ],
    tests: ['test/unit/cli/checkpoint.test.ts'],
  },
  {
    rule: 'store first, confirm after',
    name: 'confirmed before the state is written',
    edits: [
      { file: 'src/cli/stream/checkpoint.ts', from: '    await ack(written.position)\n', to: '' },
      {
        file: 'src/cli/stream/checkpoint.ts',
        from: '    await output.sync()\n',
        to: '    await output.sync()\n    await ack(written.position)\n',
      },
    ],
    tests: ['test/unit/cli/checkpoint.test.ts'],
  },
  {
    rule: 'a keepalive counts only while nothing is outstanding',
    name: 'whatever was read is confirmed',
    edits: [
      {
        file: 'src/source/streamLoop.ts',
        from: 'confirmed: () => ledger.confirmed,',
        to: 'confirmed: () => laterLsn(ledger.confirmed, collector.readTo),',
      },
    ],
    tests: ['test/integration/source/confirm.test.ts'],
    filter: 'stays while a record is not acknowledged',
  },
  {
    rule: 'a Begin at the end of the transaction before is another one',
    name: '<= of its LSN is taken for seen',
    edits: [
      {
        file: collector,
        from: 'this.#mode = finalLsn < end ? SKIP_ALL',
        to: 'this.#mode = finalLsn <= end ? SKIP_ALL',
      },
    ],
    tests: ['test/unit/source/changeCollector.test.ts', 'test/integration/source/confirm.test.ts'],
  },
  {
    rule: 'a position is (commit LSN, index)',
    name: "skipped on resume by a row's LSN",
    edits: [
      {
        file: collector,
        from: 'return seq < this.#place.seq || (seq === this.#place.seq && sub <= this.#place.sub)',
        to: 'return this.#walPlace <= Number(this.#place.lsn & 0xffffffffn)',
      },
    ],
    tests: [
      'test/unit/source/redelivery.test.ts',
      'test/unit/source/resume.test.ts',
      'test/integration/source/resume.test.ts',
    ],
  },
  {
    rule: 'what is sent again must be the same rows',
    name: 'the fingerprint is not compared',
    edits: [
      {
        file: collector,
        from: 'if (this.#seq === seq && this.#fingerprint === fingerprint) {',
        to: 'if (this.#seq === seq) {',
      },
    ],
    tests: ['test/unit/source/redelivery.test.ts', 'test/integration/source/resume.test.ts'],
  },
  {
    rule: 'a slot that is gone is an error',
    name: 'a new one is made silently',
    edits: [
      {
        file: 'src/source/start.ts',
        from: "if (!lost || onSlotLost === 'stop') throw problem",
        to: 'if (!lost) throw problem',
      },
    ],
    tests: ['test/unit/source/start.test.ts', 'test/integration/source/resume.test.ts'],
  },
  {
    rule: 'a snapshot is finished when its last row is durable',
    name: 'the slot is made permanent before',
    edits: [
      {
        file: 'src/source/freshRun.ts',
        from: '  yield* acknowledgements.settle(signal)\n  try {\n',
        to: '  void [acknowledgements, signal]\n  try {\n',
      },
    ],
    tests: ['test/integration/source/snapshot.test.ts'],
    filter: 'where no position is kept',
  },
  {
    rule: 'lock before the snapshot',
    name: "a chunk's snapshot is taken before its lock",
    edits: [
      {
        file: 'src/source/scan/openChunk.ts',
        from: 'BEGIN}; ${lockSql',
        to: 'BEGIN}; SELECT pg_catalog.pg_current_snapshot(); ${lockSql',
      },
    ],
    tests: ['test/integration/source/chunks.test.ts'],
    filter: 'waits for a migration',
  },
  {
    rule: 'lock before the slot',
    name: 'the slot is made before the tables are locked',
    edits: [
      {
        file: 'src/source/freshSlot.ts',
        from: `    const readers = slot.exportSnapshot
      ? await SnapshotReaders.open({ connections, planned, workers, emit, signal })
      : undefined
`,
        to: '    let readers: SnapshotReaders | undefined\n',
      },
      {
        file: 'src/source/freshSlot.ts',
        from: '      const lsn = formatLsn(created.consistentPoint)\n',
        to: '      if (slot.exportSnapshot) readers = await SnapshotReaders.open({ connections, planned, workers, emit, signal })\n      const lsn = formatLsn(created.consistentPoint)\n',
      },
      {
        file: 'src/source/freshSlot.ts',
        from: 'await catalogChangedSince(connections.control, since)',
        to: 'false && since',
      },
    ],
    tests: ['test/integration/source/slotDuringDdl.test.ts'],
    filter: 'consistent',
  },
  {
    rule: 'no table changes while the slot is made',
    name: 'the catalog is not looked at afterwards',
    edits: [
      {
        file: 'src/source/freshSlot.ts',
        from: 'await catalogChangedSince(connections.control, since)',
        to: 'false && since',
      },
    ],
    tests: ['test/integration/source/slotDuringDdl.test.ts'],
  },
  {
    rule: 'wait after ALTER PUBLICATION',
    name: 'not for a table added while the stream runs',
    edits: [
      {
        file: 'src/source/tableChanges.ts',
        from: 'await waitForRunningTransactions(control, {',
        to: "if ('mutated'.length === 0) await waitForRunningTransactions(control, {",
      },
    ],
    tests: ['test/integration/source/tableChanges.test.ts'],
    filter: 'changed before its table was added',
  },
  {
    rule: 'wait after CREATE PUBLICATION',
    name: 'not for a publication made for a slot that exists',
    edits: [
      {
        file: 'src/source/resumedStart.ts',
        from: 'const altered = publications.created.length > 0 || publications.altered.length > 0',
        to: "const altered = 'mutated'.length === 0",
      },
      {
        file: 'src/source/resumedStart.ts',
        from: 'altered || added.length > 0 ? await allVisible(context)',
        to: 'publications.created.length > 0 ? lastRecordEnd((await visibleLsn(control, 0, signal)).lsn)',
      },
    ],
    tests: ['test/integration/source/publications.test.ts'],
    filter: 'waits for the transactions that run',
  },
  {
    rule: 'exactness: visibility decides',
    name: 'suppressed by LSN',
    edits: [
      {
        file: keySides,
        from: 'return commitLsn < read.until && this.#snapshotOf(read).sees(xid, commitLsn)',
        to: 'return commitLsn < read.until && xid > 0',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: S is kept until the stream has reached H',
    name: 'forgotten when nothing in progress is left in it',
    edits: [
      {
        file: 'src/source/scan/stretches.ts',
        from: 'read.until <= lsn',
        to: '(read.until <= lsn || /:$/.test(read.snapshot))',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: H is read after S, of all that is inserted',
    name: 'of what is flushed',
    edits: [
      {
        file: 'src/source/scan/openChunk.ts',
        from: 'ELSE pg_catalog.pg_current_wal_insert_lsn() END',
        to: 'ELSE pg_catalog.pg_current_wal_flush_lsn() END',
      },
    ],
    tests: ['test/integration/source/chunks.test.ts'],
    filter: 'asynchronous commits',
  },
  {
    rule: 'exactness: a chunk must show what was left to it',
    name: 'decoded and not visible is not waited for',
    edits: [
      {
        file: 'src/source/scan/unproved.ts',
        from: '!tables.includes(oid) || sees(xid, commitLsn)',
        to: '!tables.includes(oid) || sees(xid, commitLsn) || true',
      },
    ],
    tests: [...SCAN_TESTS, 'test/integration/source/serverLife/synchronousStandby.test.ts'],
  },
  {
    rule: 'exactness: nothing that the chunk does not show comes before its rows',
    name: 'such a change does not wait',
    edits: [
      {
        file: keySides,
        from: 'if (isOpen && this.isBehindChunk(transaction)) return WAIT',
        to: 'if (isOpen && this.isBehindChunk(transaction)) return this.#asks ? WAIT : EMIT',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: a change of the key has two keys',
    name: 'judged by the new one only',
    edits: [
      {
        file: tableScan,
        from: 'if (oldKey === undefined || keyId(oldKey) === keyId(newKey!)) {',
        to: 'if (newKey !== undefined) {',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: a row without all its values is read by itself',
    name: 'handed on as it came',
    edits: [
      {
        file: tableScan,
        from: 'const isLacking = partial && old !== EMIT',
        to: 'const isLacking = partial && old === WAIT',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: a truncate begins the scan anew',
    name: 'it goes on',
    edits: [
      {
        file: tableScan,
        from: 'if (!this.unread && !this.#isShown(transaction)) return false',
        to: 'if (transaction.xid >= 0) return false',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: who may have rows behind the position hears of every delete',
    name: 'only of those that the rows do not show',
    edits: [
      {
        file: tableScan,
        from: 'return again || (more && side !== EXACT && !(side !== COMING && this.#options.order.alike))',
        to: 'return again || (more && side === WAIT)',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: who has rows by another key than that of the scan hears of every change',
    name: 'judged by the scan’s key alone',
    edits: [
      {
        file: tableScan,
        from: 'return this.#options.otherKey === true &&',
        to: 'return this.#options.otherKey === null &&',
      },
    ],
    tests: ['test/unit/source/scan/recordKeys.test.ts'],
  },
  {
    rule: 'exactness: a delete does not take a row whose key is equal and prints otherwise',
    name: 'told as of other keys',
    edits: [
      {
        file: 'src/source/scan/keyOrder.ts',
        from: 'this.columns.some(({ alike }) => alike === true)',
        to: 'this.columns.some(({ alike }) => alike === null)',
      },
    ],
    tests: ['test/unit/source/scan/recordKeys.test.ts'],
  },
  {
    rule: 'exactness: where rows begin is durable before the first of them',
    name: 'only handed out before',
    edits: [
      {
        file: 'src/source/recordBegin.ts',
        from: 'if (!options.positionWithData && !options.startBatch) yield* acknowledgements.settle(signal)',
        to: 'void [options, signal]',
      },
    ],
    tests: ['test/integration/source/handedOver.test.ts'],
    filter: 'no row comes before',
  },
  {
    rule: 'exactness: of a table read once more, what makes a deleted row again goes on',
    name: 'suppressed, as the snapshot shows it',
    edits: [
      {
        file: tableScan,
        from: 'if (!isOvertaken(overtaken, key)) return DROP',
        to: 'if (isOvertaken(overtaken, key) || key.length > 0) return DROP',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: of a table read once more, what the rows show of other rows stays back',
    name: 'goes on, too, behind any delete',
    edits: [
      {
        file: 'src/source/scan/overtaken.ts',
        from: 'return ids.has(keyId(key))',
        to: 'return ids.size > 0 || ids.has(keyId(key))',
      },
    ],
    tests: SCAN_TESTS,
  },
  {
    rule: 'exactness: a table is read once more when the stream has passed its last reading',
    name: 'at once',
    edits: [
      {
        file: 'src/source/scan/scans.ts',
        from: 'if (open === undefined) return this.#begin(',
        to: 'if (open === undefined || this.#leave(oid)) return this.#begin(',
      },
    ],
    tests: ['test/unit/source/scan/scans.test.ts'],
  },
  {
    rule: 'exactness: the position is behind the rows delivered, no further',
    name: 'ahead of them, at the end of the stretch',
    edits: [
      {
        file: 'src/source/scan/scanProgress.ts',
        from: 'advance(before.stretches, index, keyOf(row), reading)',
        to: 'advance(before.stretches, index, undefined, reading)',
      },
    ],
    tests: ['test/integration/source/chunks.test.ts'],
    filter: 'resumed behind any row',
  },
  {
    rule: 'exactness: xids have 64 bits',
    name: 'compared with 32',
    edits: [
      {
        file: 'src/postgres/transactionSnapshot.ts',
        from: 'const wide = widenXid(xid, xmax)',
        to: 'const wide = xid',
      },
    ],
    tests: ['test/unit/postgres/snapshotVisibility.test.ts'],
  },
]
