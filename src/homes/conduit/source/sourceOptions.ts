import { CONNECTOR_INVALID } from '../../../core/conduitErrors.js'
import type { SourceOptions } from '../../../source/options.js'
import { SOURCE_ALIASES } from '../settings/aliases.js'
import { type ReadSettings, readSettings } from '../settings/readSettings.js'
import { onlyTable, splitSelections } from '../settings/selections.js'
import { conduitSourceSettings } from '../settings/sourceSettings.js'

export type SourceSettings = ReadSettings<typeof conduitSourceSettings>

/** What a pipeline says of the source; `CONNECTOR_INVALID` with all that is wrong with it. */
export function readSourceSettings(raw: Readonly<Record<string, string>>): SourceSettings {
  return readSettings(conduitSourceSettings, SOURCE_ALIASES, raw)
}

/** Settings that are taken and have no effect, with the reason: told to whoever gives them. */
export function noticesOf({ values, given, notices }: SourceSettings): readonly string[] {
  const told = [...notices]
  if (given.has('snapshot.fetchSize')) {
    told.push('snapshot.fetchSize has no effect: rows are read with COPY, and sdk.batch.size says how many go together')
  }
  const parts = (['key', 'payload'] as const).filter((part) => {
    const enabled = `sdk.schema.extract.${part}.enabled` as const
    return given.has(enabled) ? values[enabled] : values['logrepl.withAvroSchema']
  })
  if (parts.length === 2 && given.has('payload.format')) {
    told.push('payload.format has no effect: keys and rows have schemas, unless logrepl.withAvroSchema is false')
  }
  const avro = [...given].filter((name) => name.startsWith('avro.'))
  if (parts.length === 0 && avro.length > 0) told.push(`${avro.join(', ')}: no effect, since nothing has a schema`)
  if (parts.length < 2 && given.has('logrepl.withAvroSchema') && values['logrepl.withAvroSchema']) {
    told.push('logrepl.withAvroSchema does not hold for what sdk.schema.extract.….enabled says false of')
  }
  return told
}

/** Where a connector stands, in the engine's terms. */
export interface Place {
  /** Of Conduit; undefined at the first start. */
  readonly position: string | undefined
  readonly connectorId: string
  /** Rows of a snapshot may come in binary format. */
  readonly takesBinary: boolean
}

const CDC_MODES = { auto: 'auto', logrepl: 'logical', long_polling: 'long_polling' } as const

/** The settings as the engine's. Throws `CONNECTOR_INVALID` for what only several of them together tell. */
export function toSourceOptions({ values }: SourceSettings, place: Place): SourceOptions {
  const { position, connectorId, takesBinary } = place
  const { snapshotMode, cdcMode, tables } = values
  const snapshots = snapshotMode === 'initial'
  const selections = (name: 'columns' | 'keys' | 'cursors') => {
    const split = values[name] === '' ? [] : splitSelections(values[name], onlyTable(tables))
    if (split !== undefined) return split
    const problem = 'which table these are of is told by a name before them, as in orders:id,region'
    throw CONNECTOR_INVALID({ problems: [{ name, value: values[name], problem }] })
  }
  return {
    url: values.url,
    replicationUrl: values.replicationUrl,
    tables,
    exclude: values.exclude,
    columns: selections('columns'),
    keys: selections('keys'),
    cursors: selections('cursors'),
    snapshot: snapshotMode,
    cdcMode: CDC_MODES[cdcMode],
    ...(cdcMode === 'long_polling'
      ? {}
      : { slot: values['logrepl.slotName'], publication: values['logrepl.publicationName'] }),
    // Conduit has stored nothing: whatever made the slot, all rows are still to be read.
    existingSlot: snapshots ? 'snapshot' : 'resume',
    pollIntervalMs: values.pollInterval,
    strategy: values.strategy,
    failoverSlot: values.failoverSlot,
    onSlotLost: values.onSlotLost,
    managePublication: values.managePublication,
    keyless: values.keyless,
    toast: values.toast,
    onRedeliveryChange: values.onRedeliveryChange,
    onPublicationChange: values.onPublicationChange,
    onPartitionGone: values.onPartitionGone,
    maxBytes: values.maxBytes,
    streaming: values.streaming,
    logicalDecodingWorkMem: values.logicalDecodingWorkMem,
    spoolFolder: values.spoolFolder,
    spoolMemoryBytes: values.spoolMemoryBytes,
    spoolMaxBytes: values.spoolMaxBytes,
    snapshotWorkers: values.snapshotWorkers,
    slotTimeoutMs: values.slotTimeout,
    walBudgetBytes: values.walBudgetBytes,
    onWalBudget: values.onWalBudget,
    heartbeat: values.heartbeat,
    heartbeatMs: values.heartbeatInterval,
    stallMs: values.stallTimeout,
    bytea: values.bytea,
    bigNumbers: values['payload.format'] === 'structured' ? 'string' : 'number',
    position,
    host: { owner: ownerOf(connectorId), takesBinary },
  }
}

/** How a connector is named in the comment of what is made for it. */
export function ownerOf(connectorId: string): string {
  return `Conduit connector ${connectorId}`
}
