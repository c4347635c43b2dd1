import { ADDED_COLUMN_TAKEN, TARGET_COLUMN_MISSING, TARGET_KEY_MISSING } from '../../../core/destinationErrors.js'
import { PAYLOAD_INVALID } from '../../../core/payloadErrors.js'
import { TailraceError } from '../../../core/tailraceError.js'
import type { Target } from '../../../destination/target.js'
import { TextBatch } from '../../../destination/textBatch.js'
import { quoteIdentifier } from '../../../postgres/identifier.js'
import { describeError } from '../plugin/describeError.js'
import { Operation } from '../proto/opencdc/v1/opencdc.js'
import type { IncomingRecord } from './incoming.js'
import * as metadata from './metadata.js'
import { type Part, SchemaMissing, type SchemaOf, type SchemaTexts } from './parts.js'
import { keyText, withoutKey } from './recordKey.js'
import { planDelete, planRow, type RecordPlan } from './recordPlan.js'
import type { TableRoute } from './tableRoute.js'
import { type RowShape, TargetEntry, type TargetTables } from './targetTables.js'
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
  #operation = ''
  #entry: TargetEntry | undefined
  #key: Part | undefined
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
          const explained = error instanceof TailraceError ? this.#explain(error, batch) : ''
          batch.drop()
          if (error instanceof TableMissing || error instanceof SchemaMissing) await error.arrives
          else if (!again && isMissing(error) && this.#entry?.mayBeOld === true) {
            again = true
            await this.#options.tables.again(this.#name)
          } else if (error instanceof TailraceError) {
            failed.set(index, explained)
            break
          } else throw error
        }
      }
    }
    return { records, batch, recordOf, failed, targets: batch.rows.tables.map((table) => targets.get(table)!) }
  }

  #place(record: IncomingRecord, batch: TextBatch): RowShape {
    const operation = OPERATIONS.get(record.operation)
    this.#operation = operation ?? 'unknown'
    this.#entry = this.#key = undefined
    if (operation === undefined) throw PAYLOAD_INVALID({ column: '', problem: `its operation is ${record.operation}` })
    const { route, tables, decodesKeys, decodesRows } = this.#options
    const keySchema = decodesKeys ? schemaOf(record, metadata.KEY_SUBJECT, metadata.KEY_VERSION) : undefined
    const rowSchema = decodesRows ? schemaOf(record, metadata.PAYLOAD_SUBJECT, metadata.PAYLOAD_VERSION) : undefined
    this.#name = route.quickly(record.metadata) ?? this.#evaluate(record, operation, keySchema, rowSchema)
    const entry = tables.get(this.#name)
    if (!(entry instanceof TargetEntry)) throw new TableMissing(entry)
    this.#entry = entry
    if (operation === 'delete' && isTruncate(record)) return truncate(entry, record, batch)
    const { message, before, after } = record
    const key = readKey(entry, record, keySchema, batch)
    this.#key = key
    if (operation === 'delete') {
      const row = before && entry.parts.read(message, before, rowSchema, batch)
      const plan = planDelete(entry, { key, row })
      requireKey(entry, plan, batch, operation)
      batch.delete(plan.shape.table, plan.layout)
      return plan.shape
    }
    const row = after && entry.parts.read(message, after, rowSchema, batch)
    if (key === undefined && row === undefined) {
      throw PAYLOAD_INVALID({ column: '', problem: `a ${operation} has neither a key nor payload.after` })
    }
    const told = operation === 'update' && before ? entry.parts.read(message, before, rowSchema, batch) : undefined
    const plan = planRow(entry, { key, row, before: told, unchanged: record.metadata[metadata.UNCHANGED] }, operation)
    requireKey(entry, plan, batch, operation)
    batch.add(operation, plan.shape.table, plan.layout, changesKey(plan, batch) ? plan.oldLayout : undefined)
    entry.lastShape = plan.shape
    return plan.shape
  }

  #evaluate(
    record: IncomingRecord,
    operation: OperationName,
    key: SchemaOf | undefined,
    payload: SchemaOf | undefined,
  ): string {
    const { route } = this.#options
    return route.of(this.#templates.of(record, operation, { key, payload }, route.needsData))
  }

  #explain(error: TailraceError, batch: TextBatch): string {
    const table = this.#entry?.name
    const { columns } = this.#key ?? { columns: [] }
    const key = keyText(
      columns,
      columns.map((_, i) => (i < batch.given ? batch.textOf(i) : null)),
    )
    const told = [
      `${this.#operation}${key === '' ? '' : ` of ${key}`}`,
      ...(table === undefined || error.message.includes(table) ? [] : [`table ${table}`]),
    ]
    return `${describeError(error)} (${told.join(', ')})`
  }
}

function truncate(entry: TargetEntry, { start, metadata: values }: IncomingRecord, batch: TextBatch): RowShape {
  const key = entry.primaryKey ?? []
  const shape = entry.shape(new Set(key), key)
  batch.truncate(shape.table, values[metadata.LSN] ?? String(start))
  return shape
}

function requireKey(entry: TargetEntry, { keyPlaces, key }: RecordPlan, batch: TextBatch, operation: string): void {
  for (let i = 0; i < keyPlaces.length; i++) {
    if (!batch.isNull(keyPlaces[i]!)) continue
    throw withoutKey(entry, operation, `column ${quoteIdentifier(key[i]!)} of it is NULL`)
  }
}

function changesKey({ oldLayout, oldKeyPlaces, keyPlaces }: RecordPlan, batch: TextBatch): boolean {
  if (oldLayout === undefined || oldKeyPlaces.some((at) => batch.isNull(at))) return false
  return oldKeyPlaces.some((at, i) => !batch.isSame(at, keyPlaces[i]!))
}

/** A key that is no object, as some sources have, says nothing of columns. */
function readKey(
  entry: TargetEntry,
  { message, key }: IncomingRecord,
  schema: SchemaOf | undefined,
  batch: TextBatch,
): Part | undefined {
  if (key === undefined) return undefined
  if (schema !== undefined || key.isStruct) return entry.parts.read(message, key, schema, batch)
  try {
    return entry.parts.read(message, key, undefined, batch)
  } catch (error) {
    if (!PAYLOAD_INVALID.is(error)) throw error
    batch.drop()
    return undefined
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
