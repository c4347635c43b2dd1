import { ADDED_COLUMN_TAKEN, TARGET_COLUMN_MISSING, TARGET_KEY_MISSING } from '../../../core/destinationErrors.js'
import { PAYLOAD_INVALID } from '../../../core/payloadErrors.js'
import { TailraceError } from '../../../core/tailraceError.js'
import type { Target } from '../../../destination/target.js'
import { TextBatch, type Texts } from '../../../destination/textBatch.js'
import { describeError } from '../plugin/describeError.js'
import { Operation } from '../proto/opencdc/v1/opencdc.js'
import type { Data, IncomingRecord } from './incoming.js'
import * as metadata from './metadata.js'
import { type Part, SchemaMissing, type SchemaOf, type SchemaTexts } from './parts.js'
import { keyText, requireKey } from './recordKey.js'
import { type Parts, planDelete, planRow, type RecordPlan } from './recordPlan.js'
import type { TableRoute } from './tableRoute.js'
import { TargetEntry, type TargetTables } from './targetTables.js'
import { TemplateRecords } from './templateRecord.js'

export interface RecordReaderOptions {
  readonly route: TableRoute
  readonly tables: TargetTables
  readonly schemas: SchemaTexts
  /** Whether keys, and rows, are decoded by the schema that the metadata names. */
  readonly decodesKeys: boolean
  readonly decodesRows: boolean
}

/** Records as rows of the target's tables. */
export interface ReadRecords {
  readonly records: readonly IncomingRecord[]
  readonly batch: TextBatch
  /** By index of the batch's tables. */
  readonly targets: readonly Target[]
  /** Of each row of the batch which record it is. */
  readonly recordOf: readonly number[]
  /** Records that cannot be written at all, by their index, with what their acknowledgement says. */
  readonly failed: ReadonlyMap<number, string>
}

type OperationName = 'create' | 'update' | 'delete' | 'snapshot'

const OPERATIONS = new Map<number, OperationName>([
  [Operation.OPERATION_CREATE, 'create'],
  [Operation.OPERATION_UPDATE, 'update'],
  [Operation.OPERATION_DELETE, 'delete'],
  [Operation.OPERATION_SNAPSHOT, 'snapshot'],
])

/** A table that has to be looked up first. */
class TableMissing {
  readonly arrives: Promise<void>

  constructor(arrives: Promise<void>) {
    this.arrives = arrives
  }
}

/** Makes batches of records: texts of the target's types, in rows of its tables. */
export class RecordReader {
  readonly #options: RecordReaderOptions
  readonly #templates: TemplateRecords
  /** Of the record that is read: what is known by now, for its error. */
  #about = { operation: '', table: '', key: '' }
  #entry: TargetEntry | undefined
  #name = ''

  constructor(options: RecordReaderOptions) {
    this.#options = options
    this.#templates = new TemplateRecords(options.schemas)
  }

  /** Rejects with what keeps all records from being written: the server, or the registry of schemas, is not there. */
  async read(records: readonly IncomingRecord[]): Promise<ReadRecords> {
    const batch = new TextBatch()
    const recordOf: number[] = []
    const failed = new Map<number, string>()
    const targets = new Map<object, Target>()
    for (const [index, record] of records.entries()) {
      for (let again = false; ; ) {
        try {
          const { table, target } = this.#place(record, batch)
          targets.set(table, target)
          recordOf.push(index)
          break
        } catch (error) {
          if (error instanceof TableMissing || error instanceof SchemaMissing) await error.arrives
          else if (!again && isMissing(error) && this.#entry?.mayBeOld === true) {
            again = true
            await this.#options.tables.again(this.#name)
          } else if (error instanceof TailraceError) {
            failed.set(index, this.#explain(error))
            break
          } else throw error
        }
      }
    }
    return { records, batch, recordOf, failed, targets: batch.rows.tables.map((table) => targets.get(table)!) }
  }

  #place(record: IncomingRecord, batch: TextBatch): RecordPlan['shape'] {
    const operation = OPERATIONS.get(record.operation)
    const about = this.#about
    about.operation = operation ?? 'unknown'
    about.table = about.key = ''
    this.#entry = undefined
    if (operation === undefined) throw PAYLOAD_INVALID({ column: '', problem: `its operation is ${record.operation}` })
    const { route, tables, decodesKeys, decodesRows } = this.#options
    const keySchema = decodesKeys ? schemaOf(record, metadata.KEY_SUBJECT, metadata.KEY_VERSION) : undefined
    const rowSchema = decodesRows ? schemaOf(record, metadata.PAYLOAD_SUBJECT, metadata.PAYLOAD_VERSION) : undefined
    const schemas = { key: keySchema, payload: rowSchema }
    this.#name =
      route.quickly(record.metadata) ?? route.of(this.#templates.of(record, operation, schemas, route.needsData))
    const entry = tables.get(this.#name)
    if (!(entry instanceof TargetEntry)) throw new TableMissing(entry)
    this.#entry = entry
    about.table = entry.name
    if (operation === 'delete' && isTruncate(record)) return this.#truncate(entry, record, batch)
    const key = readKey(entry, record.key, keySchema)
    if (key !== undefined) about.key = keyText(key.columns, key.texts)
    const before = record.before && entry.parts.read(record.before, rowSchema)
    if (operation === 'delete')
      return place(batch, entry, operation, { key, row: before, before: undefined, unchanged: undefined })
    const row = record.after && entry.parts.read(record.after, rowSchema)
    if (key === undefined && row === undefined) {
      throw PAYLOAD_INVALID({ column: '', problem: `a ${operation} has neither a key nor payload.after` })
    }
    const unchanged = record.metadata[metadata.UNCHANGED]
    return place(batch, entry, operation, { key, row, unchanged, before: operation === 'update' ? before : undefined })
  }

  #truncate(entry: TargetEntry, { bytes, metadata: values }: IncomingRecord, batch: TextBatch): RecordPlan['shape'] {
    const key = entry.primaryKey ?? []
    const shape = entry.shape(new Set(key), key)
    batch.truncate(shape.table, values[metadata.LSN] ?? String(bytes.length))
    return shape
  }

  #explain(error: TailraceError): string {
    const { operation, table, key } = this.#about
    const told = [
      `${operation}${key === '' ? '' : ` of ${key}`}`,
      ...(table === '' || error.message.includes(table) ? [] : [`table ${table}`]),
    ]
    return `${describeError(error)} (${told.join(', ')})`
  }
}

function place(batch: TextBatch, entry: TargetEntry, operation: OperationName, parts: Parts): RecordPlan['shape'] {
  const { key, row, before } = parts
  const plan = operation === 'delete' ? planDelete(entry, parts) : planRow(entry, parts, operation)
  const texts = joined(key, row, plan.oldLayout === undefined ? undefined : before)
  for (const text of texts) {
    if (text?.includes('\0') === true)
      throw PAYLOAD_INVALID({ column: '', problem: 'a text has a NUL character, which PostgreSQL has not' })
  }
  for (const [i, at] of plan.keyPlaces.entries()) requireKey(entry, plan.key[i]!, texts[at]!, operation)
  const { shape } = plan
  if (operation === 'delete') batch.delete(shape.table, plan.layout, texts)
  else {
    batch.add(operation, shape.table, plan.layout, texts, changesKey(plan, texts) ? plan.oldLayout : undefined)
    entry.lastShape = shape
  }
  return shape
}

function joined(key: Part | undefined, row: Part | undefined, before: Part | undefined): Texts {
  const one = key === undefined ? (row?.texts ?? []) : row === undefined ? key.texts : key.texts.concat(row.texts)
  return before === undefined ? one : one.concat(before.texts)
}

function changesKey({ oldLayout, oldKeyPlaces, keyPlaces }: RecordPlan, texts: Texts): boolean {
  if (oldLayout === undefined || oldKeyPlaces.some((at) => texts[at] === null)) return false
  return oldKeyPlaces.some((at, i) => texts[at] !== texts[keyPlaces[i]!])
}

/** A key that is no object, as some sources have, says nothing of columns. */
function readKey(entry: TargetEntry, data: Data | undefined, schema: SchemaOf | undefined): Part | undefined {
  if (data === undefined) return undefined
  if (schema !== undefined || 'structured' in data) return entry.parts.read(data, schema)
  try {
    return entry.parts.read(data, undefined)
  } catch (error) {
    if (PAYLOAD_INVALID.is(error)) return undefined
    throw error
  }
}

function schemaOf({ metadata: values }: IncomingRecord, subjectAt: number, versionAt: number): SchemaOf | undefined {
  const subject = values[subjectAt]
  const version = values[versionAt]
  return subject && version ? { subject, version } : undefined
}

function isTruncate({ key, before, metadata: values }: IncomingRecord): boolean {
  return key === undefined && before === undefined && values[metadata.OPERATION] === 'truncate'
}

/** It may have been made since the table was looked up. */
function isMissing(error: unknown): boolean {
  return [TARGET_COLUMN_MISSING, TARGET_KEY_MISSING, ADDED_COLUMN_TAKEN].some((one) => one.is(error))
}
