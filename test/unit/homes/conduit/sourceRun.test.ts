import { expect, test } from 'vitest'
import { codecFor } from '../../../../src/codec/codecFor.js'
import { HEAD, HEAD_SEQ } from '../../../../src/core/rowBatch.js'
import { Table } from '../../../../src/core/table.js'
import { Source_Run_Response } from '../../../../src/homes/conduit/proto/connector/v2/source.js'
import { RegisteredSchemas } from '../../../../src/homes/conduit/schema/registeredSchemas.js'
import { schemaWishes } from '../../../../src/homes/conduit/schema/schemaWishes.js'
import { avroFormat } from '../../../../src/homes/conduit/source/avroFormat.js'
import { jsonFormat } from '../../../../src/homes/conduit/source/jsonFormat.js'
import type { OpenedSource } from '../../../../src/homes/conduit/source/openedSource.js'
import { unpackPosition } from '../../../../src/homes/conduit/source/packedPosition.js'
import { readSourceSettings } from '../../../../src/homes/conduit/source/sourceOptions.js'
import { SourceRun } from '../../../../src/homes/conduit/source/sourceRun.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { builtin } from '../../../support/codecTypes.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'

const ORIGIN = { system: '7710974990324191594', timeline: 1, database: 'shop', slot: 'shop', epoch: 5 }
const TABLE = new Table({
  ...textTable('files', ['id', 'content'], [0]),
  codecs: [builtin('text'), builtin('bytea')].map((type) => codecFor(type)),
})

/** A run whose source has just these rows, to its end; with what the host got. */
async function runOf(rows: readonly (readonly [string, string])[]) {
  const builder = new BatchBuilder([TABLE])
  for (const row of rows) builder.create(row)
  for (let seq = 0; seq < rows.length; seq++) builder.batch.heads[seq * HEAD + HEAD_SEQ] = seq
  const place = { lsn: 1n, seq: rows.length - 1, sub: 0, end: 9n, fingerprint: 0, snapshot: undefined }
  const batches = [new Batch(builder.batch, new StreamPosition(ORIGIN, place), () => {})]
  const source = {
    ...{ next: async () => batches.shift(), rest: () => {}, ack: async () => {}, onReading: () => {} },
  } as unknown as OpenedSource
  const settings = readSourceSettings({ url: 'postgres://u@h/shop', tables: 'files' })
  const create = async (subject: string) => ({ subject, version: 1 })
  const format = avroFormat(schemaWishes(settings, 'c'), new RegisteredSchemas({ create }), jsonFormat)
  const messages: Buffer[] = []
  const outlet = {
    write: (parts: readonly Buffer[]) => {
      messages.push(Buffer.concat(parts))
      return true
    },
    drained: async () => {},
  }
  const run = new SourceRun(source, settings, format, outlet, { position: undefined, half: false })
  const ended = await run.run().catch((error: unknown) => error)
  run.stop()
  return { ended, records: messages.flatMap((message) => Source_Run_Response.decode(message).records), run }
}

test('a value that is damaged ends the run behind the records before it, of which none is cut', async () => {
  const { ended, records, run } = await runOf([
    ['1', '\\xdead'],
    ['2', '\\xbeef'],
    ['3', 'no hex'],
    ['4', '\\x'],
  ])
  expect(ended).toMatchObject({ code: 'VALUE_MALFORMED' })
  expect(records.map(({ payload }) => (payload!.after!.data!.value as Buffer).toString('hex'))).toEqual([
    '0204dead020231',
    '0204beef020232',
  ])
  expect(records.at(-1)!.position).toEqual(run.lastPosition)
})

test('positions are those of the records, whether their beginning is packed or not', async () => {
  const { ended, records } = await runOf([
    ['1', '\\x'],
    ['2', '\\x'],
    ['3', '\\x'],
  ])
  expect(ended).toBeUndefined()
  const positions = records.map(({ position }) => unpackPosition(position.toString()))
  const common = { version: 1, ...ORIGIN, lsn: '0/1', sub: 0 }
  expect(positions.map((position) => JSON.parse(position))).toMatchObject([common, common, { ...common, end: '0/9' }])
  expect(new Set(positions).size).toBe(3)
})
