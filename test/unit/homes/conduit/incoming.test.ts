import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allMetadata, positionOf, readRecords } from '../../../../src/homes/conduit/destination/incoming.js'
import { FIRST_OF_CALLER, MetadataReader, UNCHANGED } from '../../../../src/homes/conduit/destination/metadata.js'
import { structOf } from '../../../../src/homes/conduit/destination/parts.js'
import { Destination_Run_Request } from '../../../../src/homes/conduit/proto/connector/v2/destination.js'
import type { Data, Record } from '../../../../src/homes/conduit/proto/opencdc/v1/opencdc.js'

const data: fc.Arbitrary<Data | undefined> = fc.option(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes): Data => ({ data: { $case: 'rawData', value: Buffer.from(bytes) } })),
    fc
      // The generated code itself loses a field of that name.
      .dictionary(
        fc.string().filter((name) => name !== '__proto__'),
        fc.oneof(fc.string(), fc.boolean(), fc.constant(null), fc.integer()),
      )
      .map((value): Data => {
        return { data: { $case: 'structuredData', value: { ...value } } }
      }),
  ),
  { nil: undefined },
)

/** Few names and values, so that records have some in common. */
const metadata = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'opencdc.collection',
        'postgres.unchanged',
        'postgres.seq',
        'a',
        'opencdc.payload.schema.version',
      ),
      fc.constantFrom('', '1', '2', 'orders', 'x'.repeat(200)),
    ),
    { maxLength: 8 },
  )
  .map((entries) => Object.fromEntries(entries))

const record: fc.Arbitrary<Record> = fc.record({
  position: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  operation: fc.constantFrom(0, 1, 2, 3, 4) as fc.Arbitrary<Record['operation']>,
  metadata,
  key: data,
  payload: fc.option(fc.record({ before: data, after: data }), { nil: undefined }),
})

test('records are read as the generated code reads them, whatever they have in common with those before', () => {
  const names = new MetadataReader(['opencdc.collection', 'postgres.unchanged'])
  fc.assert(
    fc.property(fc.array(record, { maxLength: 12 }), (records) => {
      const message = Buffer.from(Destination_Run_Request.encode({ records }).finish())
      const read = readRecords(message, names)
      expect(read).toHaveLength(records.length)
      for (const [index, one] of read.entries()) {
        const { position, operation, metadata: entries, key, payload } = records[index]!
        expect(positionOf(one)).toEqual(position)
        expect(one.operation).toBe(operation)
        expect(allMetadata(one)).toEqual(entries)
        expect(one.metadata[FIRST_OF_CALLER]).toBe(entries['opencdc.collection'])
        expect(one.metadata[FIRST_OF_CALLER + 1]).toBe(entries['postgres.unchanged'])
        expect(one.metadata[UNCHANGED]).toBe(entries['postgres.unchanged'])
        for (const [part, expected] of [
          [one.key, key],
          [one.before, payload?.before],
          [one.after, payload?.after],
        ] as const) {
          const of =
            part && (part.isStruct ? structOf(message, part.start, part.end) : message.subarray(part.start, part.end))
          const { value } = expected?.data ?? { value: undefined }
          // No bytes are no data.
          if (Buffer.isBuffer(value) && value.length === 0) expect(of).toBeUndefined()
          else expect(of).toEqual(value)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('a message that is cut is told, and never read beyond its end', () => {
  const names = new MetadataReader([])
  const message = Buffer.from(
    Destination_Run_Request.encode({
      records: [
        {
          position: Buffer.from('p'),
          operation: 1,
          metadata: { 'opencdc.collection': 'orders' },
          key: { data: { $case: 'rawData', value: Buffer.from('{"id":1}') } },
          payload: { before: undefined, after: { data: { $case: 'structuredData', value: { id: 1 } } } },
        },
      ],
    }).finish(),
  )
  for (let length = 1; length < message.length; length++) {
    expect(() => readRecords(message.subarray(0, length), names)).toThrow(RangeError)
  }
})
