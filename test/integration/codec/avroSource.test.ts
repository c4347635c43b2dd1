import { expect, test } from 'vitest'
import { avroTable } from '../../../src/codec/avro/index.js'
import { NO_FALLBACK } from '../../../src/codec/json/row.js'
import { ByteWriter } from '../../../src/core/byteWriter.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  NO_OLD,
  OLD_ROW,
} from '../../../src/core/rowBatch.js'
import type { Batch } from '../../../src/source/batch.js'
import { decoded } from '../../support/avro.js'
import { testDatabase } from '../../support/database.js'
import { readSource } from '../../support/sourceReader.js'
import { describeEachMajor } from '../../support/versions.js'

interface Written {
  readonly table: string
  readonly schema: string
  readonly after: Buffer
}

/** The new rows of `batches`, as a home would write them: with the whole old row behind what was not sent. */
function write(batches: readonly Batch[]): Written[] {
  return batches.flatMap(({ rows }) => {
    const { heads, tape } = rows
    const written: Written[] = []
    for (let head = 0; head < rows.count * HEAD; head += HEAD) {
      if (heads[head + HEAD_OPERATION]! >= DELETE) continue
      const table = rows.tables[heads[head + HEAD_TABLE]!]!
      const bytes = rows.buffers[heads[head + HEAD_BUFFER]!]!
      const view = rows.views[heads[head + HEAD_BUFFER]!]!
      const at = heads[head + HEAD_NEW]!
      const old = heads[head + HEAD_OLD]!
      expect([NO_OLD, OLD_ROW]).toContain(old & 3)
      const fallback = (old & 3) === OLD_ROW ? old >> 2 : NO_FALLBACK
      const record = avroTable(table).payload.recordFor(bytes, tape.values, at, fallback)
      const writer = new ByteWriter()
      record.write(writer, bytes, view, tape.values, at, fallback)
      written.push({ table: table.name, schema: record.schema, after: writer.toBuffer() })
    }
    return written
  })
}

const SETUP = `
  CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0);
  CREATE DOMAIN net_price AS price;
  CREATE TYPE mood AS ENUM ('ok', 'so so');
  CREATE TABLE t (
    id int8 PRIMARY KEY, amount numeric(16,3), price price, net net_price, prices price[], moods mood[],
    at timestamptz, local timestamp, days interval, doc jsonb, big text, "odd name" text
  );
  ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE whole (LIKE t INCLUDING ALL);
  ALTER TABLE whole REPLICA IDENTITY FULL;`

const ROW = `12.5, 1.5, 2.25, '{1.5,NULL}', '{ok,"so so"}',
  '2026-11-22 06:07:08.5+00', '2026-11-22 06:07:08.5', '1 day 2 hours', '{"a": 1}', repeat('x', 3000), NULL`

describeEachMajor('rows of a source as Avro', (postgres) => {
  test('are the same bytes in snapshot and stream; an unchanged value that was not sent is left out', async () => {
    await using db = await testDatabase(postgres.server, SETUP)
    await db.query(`INSERT INTO t VALUES (1, ${ROW}); INSERT INTO whole VALUES (1, ${ROW})`)
    await using reader = readSource({ url: db.url, tables: ['t', 'whole'] })
    await reader.until(() => reader.records.length === 2, { what: 'the snapshot' })
    const read = write(reader.batches)

    for (const table of ['t', 'whole']) {
      await db.query(
        `DELETE FROM ${table}; INSERT INTO ${table} VALUES (1, ${ROW}); UPDATE ${table} SET amount = 'NaN'`,
      )
      await reader.seen((record) => record.table === table && record.operation === 'update', `the update of ${table}`)
    }
    const all = write(reader.batches)
    for (const table of ['t', 'whole']) {
      const snapshot = read.find((one) => one.table === table)!
      const [, created, updated] = all.filter((one) => one.table === table)
      expect(created).toStrictEqual(snapshot)
      const before = decoded(snapshot.schema, snapshot.after)
      expect(before).toStrictEqual({
        ...{ id: 1n, amount: Buffer.from([0x30, 0xd4]), at: 1_795_327_628_500_000n, local: 1_795_327_628_500_000n },
        ...{ price: Buffer.from([0, 0x96]), net: Buffer.from([0, 0xe1]), prices: [Buffer.from([0, 0x96]), null] },
        ...{
          moods: ['ok', 'so so'],
          days: 'P1DT2H',
          doc: Buffer.from('{"a": 1}'),
          big: 'x'.repeat(3000),
          odd_name: null,
        },
      })
      expect(JSON.parse(snapshot.schema).fields.map(({ name }: { name: string }) => name)).toStrictEqual([
        ...['amount', 'at', 'big', 'days', 'doc', 'id', 'local', 'moods', 'net', 'odd_name', 'price', 'prices'],
      ])
      // NaN has no decimal, and `big` came with the whole old row only
      const { big, ...rest } = before
      const after = { ...rest, amount: 'NaN', ...(table === 'whole' && { big }) }
      expect(decoded(updated!.schema, updated!.after)).toStrictEqual(after)
    }
  })
})
